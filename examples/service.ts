// Uses a running service (`offshoot serve`) from any JavaScript with fetch. `node examples/service.ts`; $OFFSHOOT_URL, $OFFSHOOT_KEY.

import { ApiError, Offshoot } from 'offshoot/client';

const offshoot = new Offshoot();
const { stdout, ended } = await offshoot.run('print(sum(range(101)))', { timeout_seconds: 5 });
console.log(stdout.trim(), ended);

for await (const event of offshoot.stream({ code: 'for i in range(3): print(i, flush=True)' })) {
  if (event.type === 'stdout' && 'text' in event) process.stdout.write(event.text);
}

const results = await offshoot.batch([1, 2, 3].map((n) => ({ code: `print(${n} ** 2)` })));
console.log(results.map((result) => (result instanceof ApiError ? result.code : result.stdout.trim())).join(' '));

try {
  await offshoot.run('1', { template: 'nothing' });
} catch (error) {
  if (error instanceof ApiError) console.log(error.status, error.code);
}
