/** What an image's config says of its process, in the words of a spec: image-spec conversion.md. */

import type { ImageProcess } from '../../abi/images.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import type { ImageConfig } from './image-format.ts'

export interface TranslatedProcess {
  readonly process: ImageProcess
  readonly warnings: readonly string[]
}

/** `read` gives a file of the image, for names of users and groups. */
export async function processOf(
  { config }: ImageConfig,
  read: (path: string) => Promise<Uint8Array | undefined>,
): Promise<TranslatedProcess> {
  const warnings: string[] = []
  const args = [...(config?.Entrypoint ?? []), ...(config?.Cmd ?? [])]
  const env = (config?.Env ?? []).filter((entry) => {
    const usable = entry.indexOf('=') > 0 && !entry.includes('\0')
    if (!usable) warnings.push(`config.Env: "${entry}" is not NAME=value, left out`)
    return usable
  })
  const cwd = config?.WorkingDir
  const user = config?.User ? await userOf(config.User, read, warnings) : undefined
  const process: ImageProcess = {
    ...(args.length > 0 && { args }),
    ...(env.length > 0 && { env }),
    ...(cwd && { cwd: cwd.startsWith('/') ? cwd : `/${cwd}` }),
    ...(user && { user }),
  }
  return { process, warnings }
}

/** `user`, `uid`, `user:group`, `uid:gid` and mixtures of them (config.md, "User"). */
async function userOf(
  text: string,
  read: (path: string) => Promise<Uint8Array | undefined>,
  warnings: string[],
): Promise<ImageProcess['user']> {
  const [user = '', group] = text.split(':')
  const passwd = await lines(read, 'etc/passwd')
  const groups = await lines(read, 'etc/group')
  const known = passwd.find(([name, , uid]) => name === user || uid === user)
  const uid = known ? number(known[2]) : number(user)
  if (uid === undefined) {
    warnings.push(`config.User: the image's /etc/passwd does not know "${user}"; the process runs as root`)
    return undefined
  }
  const named = groups.find(([name, , gid]) => group !== undefined && (name === group || gid === group))
  const gid = group === undefined ? (number(known?.[3]) ?? 0) : (number(named?.[2]) ?? number(group))
  if (gid === undefined) {
    warnings.push(`config.User: the image's /etc/group does not know "${group}"; the process runs with group 0`)
  }
  const member = ([, , , members = '']: string[]) => known !== undefined && members.split(',').includes(known[0]!)
  const additionalGids = group === undefined ? groups.filter(member).flatMap(([, , id]) => number(id) ?? []) : []
  return { uid, gid: gid ?? 0, ...(additionalGids.length > 0 && { additionalGids }) }
}

async function lines(read: (path: string) => Promise<Uint8Array | undefined>, path: string): Promise<string[][]> {
  const bytes = await read(path)
  const text = (bytes && decodeUtf8(bytes)) ?? ''
  return text.split('\n').map((line) => line.trim().split(':'))
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1 ? Number(text) : undefined
}
