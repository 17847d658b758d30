/** The package's entry: a sandbox for a page. */

export type { CheckpointOptions, KeptCheckpoint, RestoreOptions, SpecValidation } from '../abi/checkpoints.ts'
export type {
  ArchiveLimits,
  Change,
  CommitOptions,
  ExportImageOptions,
  ExportLayerOptions,
  ImageProcess,
  ImportImageOptions,
  LayerInfo,
} from '../abi/images.ts'
export type {
  BootReport,
  Connection,
  ContainerState,
  ExitStatus,
  MountInfo,
  PlatformName,
  ProcessStats,
  Progress,
  StorageEstimate,
  VolumeInfo,
  VolumeSnapshot,
  VolumeUsage,
} from '../abi/wire.ts'
export type { ProcessInput, SpecInput } from '../oci/spec.ts'
export type { Encoding, Mode, OpenFlags, Time, WriteData } from './arguments.ts'
export type { Bytes } from './blobs.ts'
export type { Orphan, Restored } from './checkpoints.ts'
export type { Container, Layer, MountInput } from './container.ts'
export type { SandboxError } from './errors.ts'
export type { FileHandle, ReadStreamOptions, ReadWriteOptions, WriteStreamOptions } from './file-handle.ts'
export type { FileSystem, ListOptions, ReadFileOptions, WriteFileOptions } from './file-system.ts'
export type {
  FuseAttributes,
  FuseEntry,
  FuseOperations,
  FuseRequest,
  FuseServerOptions,
  FuseUsage,
} from './fuse/operations.ts'
export type { FuseServer } from './fuse/server.ts'
export type { Image } from './image.ts'
export type { KernelSource } from './kernel.ts'
export type { Pipe, PipeEnd } from './pipe.ts'
export type { JoinedProcess, JoinOptions, Process, RunOptions } from './process.ts'
export { type CreateOptions, type CreateSpec, Sandbox, type SandboxOptions } from './sandbox.ts'
export type { BigIntStats, Dirent, StatOptions, Stats } from './stats.ts'
export type { StdioFile, StdioOption } from './stdio.ts'
export type { Terminal, TerminalAttributes, TerminalEmulator, WindowSize } from './terminal.ts'
export { type FileAttributes, type FileContent, type FilePair, type FileSpec, type Files, tree } from './tree.ts'
export type { Volumes } from './volumes.ts'
