/**
 * The root of a container: a tree of the bundle under a layer that takes the changes; the tree alone where it is read-only, or
 * there is to be no such layer; without a tree a tmpfs, in memory or a volume.
 *
 * Always true: below it in the namespace there is an empty mount that nobody sees, as below the root of a Linux system, so that the
 * root has a parent, which pivot_root(2) asks for.
 */

import { type Mount, type MountNamespace, VirtualDentry } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { imageMount } from './erofs.ts'
import { withUpper } from './layering.ts'
import { type Fill, requireDirectory, type SetUp } from './set-up.ts'
import type { Upper } from './uppers.ts'
import { type Verity, verityOver } from './verity.ts'

export interface RootPlan {
  /** What `root.path` says; undefined for an empty root. */
  readonly source: string | undefined
  readonly readonly: boolean
  readonly upper: Upper | undefined
  /** The tree is checked against a hash. */
  readonly verity: Verity | undefined
  /** The source is the file of an EROFS image. */
  readonly image: boolean
  /** A snapshot that the upper starts with. */
  readonly restore: Fill | undefined
}

export interface Root {
  readonly mount: Mount
  /** The lower layers, the topmost first; undefined for a root that is no overlay. They live as long as it does. */
  readonly lowers: readonly Mount[] | undefined
}

/** How errors and opened volumes name it. */
export const ROOT = 'root'

/** A namespace with nothing in it, for putRoot. */
export function emptyNamespace(vfs: Vfs): MountNamespace {
  const superblock = vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755', source: 'rootfs' })
  return vfs.newNamespace(vfs.newMount(superblock, { source: 'rootfs', flags: { readonly: true } }))
}

/** The root is locked: what is below it is never uncovered. */
export function putRoot(namespace: MountNamespace, setUp: SetUp, plan: RootPlan): Root {
  const root = makeRoot(setUp, plan)
  setUp.vfs.attach(root.mount, namespace.rootPlace)
  root.mount.locked = true
  return root
}

function makeRoot(setUp: SetUp, plan: RootPlan): Root {
  const { vfs, bundle, attempt } = setUp
  const { source, readonly, upper, restore } = plan
  if (source === undefined) return { mount: emptyRoot(setUp, plan), lowers: undefined }
  const own = ownMount(setUp, source, plan)
  if (own) {
    if (!upper) return { mount: own, lowers: undefined }
    try {
      return overLayers(setUp, upper, source, [new VirtualDentry(own, own.root)], restore)
    } finally {
      vfs.discard(own)
    }
  }
  if (!upper) {
    const { mount, dentry } = requireDirectory(bundle.find(source, attempt), 'root.path', source)
    return {
      mount: vfs.newMount(mount.superblock, { root: dentry, source, flags: { readonly } }),
      lowers: undefined,
    }
  }
  const lowers = bundle.layers(source, attempt)
  for (const place of lowers) requireDirectory(place, 'root.path', source)
  return overLayers(setUp, upper, source, lowers, restore)
}

/** The root's files where they are not shown as the bundle has them: those of an image, or checked ones. */
function ownMount(setUp: SetUp, source: string, { readonly, verity, image }: RootPlan): Mount | undefined {
  const { vfs, bundle, attempt } = setUp
  const options = { source, flags: { readonly } }
  const checked = (place: VirtualDentry) => verity && verityOver(setUp, place, verity, { name: '/', ...options })
  if (!image) return verity && checked(requireDirectory(bundle.find(source, attempt), 'root.path', source))
  const shown = imageMount(setUp, bundle.find(source, attempt), options)
  if (!verity) return shown
  try {
    return checked(new VirtualDentry(shown, shown.root))
  } finally {
    vfs.discard(shown)
  }
}

function overLayers(
  setUp: SetUp,
  upper: Upper,
  source: string,
  lowers: readonly VirtualDentry[],
  restore: RootPlan['restore'],
): Root {
  const { vfs } = setUp
  let held: readonly Mount[] | undefined
  const holding = (mounts: readonly Mount[]) => {
    held = mounts
  }
  const fill = setUp.fill('/', restore)
  return { mount: withUpper(setUp, { place: ROOT, upper }, { vfs, lowers, source, holding }, fill), lowers: held }
}

function emptyRoot(setUp: SetUp, { readonly, upper }: RootPlan): Mount {
  const { vfs, acquired } = setUp
  const volume = acquired.get(ROOT)
  const size = upper?.size === undefined ? '' : `,size=${upper.size}`
  const superblock =
    volume?.mount.superblock ??
    vfs.newFilesystem({ type: 'tmpfs', data: `mode=755${size}`, internal: { contents: setUp.fill('/') } })
  return vfs.newMount(superblock, { flags: { readonly } })
}
