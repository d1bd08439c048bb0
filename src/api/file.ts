// /v1/sandboxes/ID/files on the wire. Contents travel as bodies of bytes, not as JSON.

import { Type, type Static } from 'typebox';
import { PATH_MAX } from './exec.ts';

const path = Type.String({ minLength: 1, maxLength: PATH_MAX, pattern: '^[^\\u0000]*$', description: 'Relative ones from the home directory.' });
const flag = Type.Optional(Type.Boolean());

export const PathQuery = Type.Object({ path }, { additionalProperties: false });
export const StatQuery = Type.Object({
  path, follow: Type.Optional(Type.Boolean({ description: 'Default true; false: a link itself.' })),
}, { additionalProperties: false });
export const RemoveQuery = Type.Object({ path, recursive: flag }, { additionalProperties: false });
export const ReadQuery = Type.Object({
  path, offset: Type.Optional(Type.Integer({ minimum: 0 })), length: Type.Optional(Type.Integer({ minimum: 0 })),
}, { additionalProperties: false });
export const WriteQuery = Type.Object({
  path, append: flag, mode: Type.Optional(Type.String({ pattern: '^[0-7]{1,4}$', description: 'Permission bits, octal.' })),
}, { additionalProperties: false });

export const MkdirRequest = Type.Object({ path, recursive: flag }, { additionalProperties: false, title: 'MkdirRequest' });
export const MoveRequest = Type.Object({ from: path, to: path }, { additionalProperties: false, title: 'MoveRequest' });

export const FileInfo = Type.Object({
  name: Type.String(), type: Type.Enum(['file', 'directory', 'symlink', 'fifo', 'socket', 'device']),
  size: Type.Number(), mode: Type.Integer({ description: 'Permission bits.' }), mtime: Type.String(), uid: Type.Integer(), gid: Type.Integer(),
  target: Type.Union([Type.String(), Type.Null()], { description: 'Of a symbolic link.' }),
}, { title: 'File' });
export type FileInfo = Static<typeof FileInfo>;
export const FileList = Type.Object({ files: Type.Array(FileInfo) }, { title: 'FileList' });
export type FileList = Static<typeof FileList>;

export const TarResult = Type.Object({
  files: Type.Integer(), directories: Type.Integer(), links: Type.Integer(),
  skipped: Type.Array(Type.Object({ path: Type.String(), reason: Type.String() }), {
    description: 'Devices, names that lead upwards, links that cannot be made; at most 100 are named.',
  }),
}, { title: 'TarResult' });
export type TarResult = Static<typeof TarResult>;
