// What a soak does (soak.ts): pieces of work on one engine, each of which knows what must come out of it. Answers carry a nonce.
// How a result is judged, and that a busy machine may keep a run from its output for as long as it likes: soakjudge.ts.

import { setTimeout as sleep } from 'node:timers/promises';
import { MESSAGE_MAX, chance, is, isStopped, type Kind, type Work } from './soakjudge.ts';
import { copies, stateful } from './soakstateful.ts';

/** Prints a nonce, says what it finds of a run before it, and leaves all kinds of things. */
const residue = (nonce: string): string => `
import builtins, os, signal, sys
found = [hasattr(builtins, 'left'), os.environ.get('LEFT'), os.listdir('/tmp'), os.path.exists('left'), os.getcwd(), len(os.listdir('/proc/self/fd')) > 9,
         signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL, sys.stdin.read()]
print("${nonce}", found)
builtins.left = os.environ['LEFT'] = "${nonce}"
for path in ('/tmp/left', 'left'): open(path, 'w').write("${nonce}")
signal.signal(signal.SIGUSR1, lambda *_: None)
kept = [os.open('/tmp/left', os.O_RDONLY) for _ in range(20)]
os.chdir('/tmp')
if os.fork() == 0: signal.pause()
big = bytearray(b"${nonce}" * 20_000)
`;
const NOTHING_LEFT = "[False, None, [], False, '/home/user', False, False, '']";

const SPIN = (nonce: string): string => `print("${nonce}", flush=True)\nwhile True: pass`;
const LINES = 20_000;
const WAITING = 8;
const WAIT_MS_MAX = 2500;

/** Name, how often of all, and what it is. */
const KINDS: readonly (readonly [string, number, Kind])[] = [
  ['print', 30, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")`, { tenant }), `${nonce}\n`)],
  ['reuse', 30, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")`, { tenant, reuse: true }), `${nonce}\n`)],
  ['residue', 10, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', residue(nonce), { tenant, reuse: true }), `${nonce} ${NOTHING_LEFT}\n`)],
  ['numpy', 6, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', `import numpy as np\nx = np.ones(50_000)\nprint("${nonce}", int(x.sum()))`, { tenant }), `${nonce} 50000\n`)],
  ['echo', 8, async ({ engine, tenant, nonce }) => is(await engine.exec('python', ['/bin/echo', nonce], { tenant }), `${nonce}\n`)],
  ['stdin', 3, async ({ engine, tenant, nonce }) =>
    is(await engine.exec('python', ['/bin/cat'], { tenant, reuse: chance(0.5), stdin: `${nonce}\n`.repeat(2000) }), `${nonce}\n`.repeat(2000))],
  ['long', 2, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', `for i in range(${LINES}): print("${nonce}")`, { tenant }), `${nonce}\n`.repeat(LINES))],
  ['files', 3, files],
  ['exit', 6, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")\nimport sys; sys.exit(7)`, { tenant }), `${nonce}\n`, 7)],
  ['error', 3, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")\n1 / 0`, { tenant }), `${nonce}\n`, 1)],
  ['crash', 2, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', `print("${nonce}", flush=True)\nimport os; os.kill(os.getpid(), 11)`, { tenant }), `${nonce}\n`, 139)],
  ['timeout', 1, async ({ engine, tenant, nonce }) =>
    isStopped(await engine.run('python', SPIN(nonce), { tenant, reuse: chance(0.5), timeoutMs: 2000 }), `${nonce}\n`, 124, 'timeout')],
  ['cpu', 1, async ({ engine, tenant, nonce }) =>
    isStopped(await engine.run('python', SPIN(nonce), { tenant, reuse: chance(0.5), cpuTimeMs: 300 }), `${nonce}\n`, 137, 'cpu')],
  ['memory', 1, async ({ engine, tenant, nonce }) => is(
    await engine.run('python', `print("${nonce}", flush=True)\nx = b"${nonce}" * 2**20\ntry: y = bytearray(10**10)\nexcept MemoryError: print(len(x))`, {
      tenant, reuse: chance(0.5),
    }),
    `${nonce}\n${36 * 2 ** 20}\n`)],
  ['cancel', 1, cancel], ['abort', 1, abort], ['waits', 2, waits], ['stateful', 2, stateful], ['copies', 1, copies],
];

async function files({ engine, tenant, nonce }: Work): Promise<string | null> {
  const code = `print("${nonce}")\nfor name in 'ab': open(name, 'w').write(name + "${nonce}" * 1000)`;
  const result = await engine.run('python', code, { tenant, reuse: chance(0.5), collect: ['?'] });
  const found = [...result.collected].map(([path, content]) => `${path} ${content}`).sort();
  const wanted = ['a', 'b'].map((name) => `/home/user/${name} ${name}${nonce.repeat(1000)}`);
  return is(result, `${nonce}\n`) ?? (found.join() === wanted.join() ? null : `files ${found.join().slice(0, MESSAGE_MAX)}`);
}

/** Several that wait for a line, most of them without a VM by then, and go on with what they had. */
async function waits({ engine, tenant, nonce }: Work): Promise<string | null> {
  const code = `import random\nx = list(range(3000))\ns = "${nonce}" * 50\nprint("${nonce}", flush=True)\nx.append(int(input()))\nprint(sum(x), s[-36:])`;
  const found = await Promise.all(Array.from({ length: WAITING }, async (_value, i) => {
    const stdin = async function* (): AsyncGenerator<Uint8Array> {
      await sleep(WAIT_MS_MAX * Math.random());
      yield Buffer.from(`${i}\n`);
    };
    return is(await engine.run('python', code, { tenant, reuse: chance(0.5), stdin: stdin() }), `${nonce}\n${1500 * 2999 + i} ${nonce}\n`);
  }));
  return found.find((problem) => problem !== null) ?? null;
}

/** Cancelled by its own output. */
async function cancel({ engine, tenant, nonce }: Work): Promise<string | null> {
  const stop = new AbortController();
  const result = await engine.run('python', SPIN(nonce), { tenant, signal: stop.signal, onStdout: () => stop.abort() });
  return isStopped(result, `${nonce}\n`, 130, 'cancelled') ?? (result.stdout.length > 0 ? null : 'what it had printed is lost');
}

/** Cancelled at any moment: while it waits, is begun, runs, or has just ended. */
async function abort({ engine, tenant, nonce }: Work): Promise<string | null> {
  const ends = chance(0.5);
  const result = await engine.run('python', ends ? `print("${nonce}")` : SPIN(nonce), {
    tenant, reuse: chance(0.5), signal: AbortSignal.timeout(Math.floor(100 * Math.random() ** 2)),
  });
  return ends && result.limit === null ? is(result, `${nonce}\n`) : isStopped(result, `${nonce}\n`, 130, 'cancelled');
}

export const KIND_NAMES: readonly string[] = KINDS.map(([name]) => name);

/** One of the kinds with these names at random, as often as its weight says. */
export function pick(names: readonly string[]): { readonly name: string; readonly work: Kind } {
  const kinds = KINDS.filter(([name]) => names.includes(name));
  let at = Math.random() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight, work] of kinds) {
    at -= weight;
    if (at < 0) return { name, work };
  }
  return { name: kinds[0][0], work: kinds[0][2] };
}
