// A sandbox that stays on a running service: variables, files and background programs. `node examples/session.ts`

import { Sandbox } from 'offshoot/client';

await using sandbox = await Sandbox.create({ idle_seconds: 60 });
await sandbox.files.write('numbers.txt', '3\n4\n');
await sandbox.run('numbers = [int(line) for line in open("numbers.txt")]');
console.log((await sandbox.run('print(sum(numbers))')).stdout.trim());

const counter = await sandbox.start(['sh', '-c', 'while read line; do echo "got $line"; done']);
await counter.write('a\nb\n', { end: true });
let text = '';
for await (const event of counter.output()) {
  if (event.type === 'stdout' && 'text' in event) text += event.text;
  if (event.type === 'result') console.log(text.trim().split('\n').join(', '), event.result.exit_code);
}
