// Bytes of events and results: text, or base64 where they are not UTF-8.

import type { Content, ExecResult } from '../api/exec.ts';

/** Bytes of an output event (`{text}` or `{base64}`), of a collected file (`string` or `{base64}`). */
export function bytesOf(content: Content | { readonly text: string } | { readonly base64: string }): Uint8Array {
  if (typeof content === 'string') return new TextEncoder().encode(content);
  if ('text' in content) return new TextEncoder().encode(content.text);
  return Uint8Array.from(atob(content.base64), (character) => character.charCodeAt(0));
}

/** Exact bytes of a result's stdout. */
export function stdoutBytes({ stdout, stdout_base64: exact }: ExecResult): Uint8Array {
  return bytesOf(exact === undefined ? stdout : { base64: exact });
}

/** Exact bytes of a result's stderr. */
export function stderrBytes({ stderr, stderr_base64: exact }: ExecResult): Uint8Array {
  return bytesOf(exact === undefined ? stderr : { base64: exact });
}

/** Bytes as a request carries them. */
export function contentOf(bytes: Uint8Array | string): Content {
  if (typeof bytes === 'string') return bytes;
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { base64: btoa(binary) };
}
