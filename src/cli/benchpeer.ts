// What benchmarks compare with, as child processes that give one sample per line: the C floor, a native Python, a Node that answers.

import { execFileSync, spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../engine/engine.ts';
import { templatePath } from '../engine/home.ts';
import type { Template } from '../engine/template.ts';
import { readHeader, templateKey } from '../engine/templatefile.ts';

const BENCH = fileURLToPath(new URL('../../bench/', import.meta.url));

/** A child that answers each line with a line. */
class Peer {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }) as unknown as ChildProcessWithoutNullStreams;
    this.child.on('error', () => {});
    this.child.stdin.on('error', () => {});
    this.reader = createInterface({ input: this.child.stdout });
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  async line(): Promise<string | null> {
    const next = await this.lines.next();
    return next.done ? null : next.value;
  }

  ask(text: string): Promise<string | null> {
    this.child.stdin.write(`${text}\n`);
    return this.line();
  }

  stop(): void {
    this.child.kill();
    this.reader.close();
  }
}

/** bench/floor.c, compiled. */
export class Floor {
  private readonly peer: Peer;

  private constructor(peer: Peer) {
    this.peer = peer;
  }

  /** `count` processes, whose guests write to as many pages as a run of `template` that prints a line. None when there is no C compiler. */
  static async start(engine: Engine, template: Template, count = 1): Promise<Floor[]> {
    const file = templatePath(engine.home, template.name);
    const { memoryBytes, shared } = readHeader(file, templateKey(engine.home));
    await using sandbox = await template.fork({ pooled: false });
    const { dirtyPages } = await sandbox.run('print(1+1)', { countPages: true });
    const words = [file, memoryBytes, shared?.gpa ?? 0, dirtyPages ?? 0].map(String);
    const dir = mkdtempSync(`${tmpdir()}/offshoot-bench-`);
    try {
      execFileSync('cc', ['-O2', '-o', `${dir}/floor`, `${BENCH}floor.c`], { stdio: 'ignore' });
      const floors = Array.from({ length: count }, () => new Floor(new Peer(`${dir}/floor`, words)));
      await Promise.all(floors.map((floor) => floor.row(1)));
      return floors;
    } catch {
      return [];
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  /** Milliseconds of each of `count` machines made in a row. Answered when all have run and are closed. */
  async row(count: number): Promise<number[]> {
    const words = ((await this.peer.ask(String(count))) ?? '').trim().split(' ');
    const printed = words.filter((_word, i) => i % 2 === 1);
    if (printed.length !== count || printed.some((word) => word !== 'k')) throw new Error('the floor\'s guest did not print what it should');
    return words.filter((_word, i) => i % 2 === 0).map((ns) => Number(ns) / 1e6);
  }

  stop(): void {
    this.peer.stop();
  }
}

/** bench/native.py under the host's python3. */
export class Native {
  private readonly peer: Peer;

  private constructor(peer: Peer) {
    this.peer = peer;
  }

  /** Null when the host's Python lacks a module. */
  static async start(preload: readonly string[]): Promise<Native | null> {
    for (const python of ['/usr/bin/python3', 'python3']) {
      const peer = new Peer(python, [`${BENCH}native.py`, JSON.stringify(preload)]);
      const first = await peer.line();
      if (first !== null && (JSON.parse(first) as { ready?: boolean }).ready) return new Native(peer);
      peer.stop();
    }
    return null;
  }

  async sample(code: string): Promise<{ ms: number; output: string }> {
    const answer = JSON.parse((await this.peer.ask(JSON.stringify(code))) ?? '{}') as { ns: number; output: string };
    return { ms: answer.ns / 1e6, output: answer.output };
  }

  stop(): void {
    this.peer.stop();
  }
}

/** Size of a run's message. */
const MESSAGE = 'x'.repeat(600);

/** bench/echo.mjs: another Node process at the other end of a socket. */
export class Echo {
  private readonly child: ChildProcess;
  private readonly socket: Socket;

  constructor() {
    this.child = spawn(process.execPath, [`${BENCH}echo.mjs`], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
    this.socket = this.child.stdio[3] as Socket;
  }

  /** Milliseconds from before a message is written until the other side has it. */
  async sample(): Promise<number> {
    const answer = once(this.socket, 'data') as Promise<[Buffer]>;
    const start = process.hrtime.bigint();
    this.socket.write(MESSAGE);
    return Number(BigInt((await answer)[0].toString().trim()) - start) / 1e6;
  }

  stop(): void {
    this.child.kill();
  }
}
