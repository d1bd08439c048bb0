// The builder process: started when a template or its image is missing, ended when it is there. It may do what workers may
// not: run apt-get, use the network, write to the home directory. No guest runs in it, not even
// the programs of an image that is being built: freezeprocess.ts has them.

import type { BuildRequest, FromBuilder } from './builderclient.ts';
import { explain } from './explain.ts';
import { KvmHost } from './kvmhost.ts';
import { endWithParent } from './parent.ts';
import type { Progress } from './protocol.ts';
import { provision, provisionLayout } from './provision.ts';

function send(message: FromBuilder): void {
  process.send?.(message);
}

async function serve(request: BuildRequest): Promise<void> {
  try {
    const host = KvmHost.open(request.home);
    const onProgress = (progress: Progress): void => send({ type: 'progress', progress });
    if (request.layout) await provisionLayout(host, request.name, request.layout, onProgress);
    else await provision(host, request.name, request.rebuild, onProgress);
    send({ type: 'done' });
  } catch (error) {
    const { code, message } = explain(error);
    send({ type: 'error', code, message });
  }
}

endWithParent(Number(process.argv[2]));
process.once('message', (request: BuildRequest) => void serve(request));
process.on('disconnect', () => process.exit(0));
// The terminal's Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => {});
