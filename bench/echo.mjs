// The floor of `offshoot bench dispatch`: a Node process that does nothing but answer, for each message on the socket it inherited as
// descriptor 3, when it came (nanoseconds of CLOCK_MONOTONIC), in one line.

import { Socket } from 'node:net';

const socket = new Socket({ fd: 3 });
socket.on('data', () => {
  const came = process.hrtime.bigint();
  socket.write(`${came}\n`);
});
