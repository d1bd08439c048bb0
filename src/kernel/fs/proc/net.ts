// /proc/net: a network of one loopback interface. proc_pid_net(5). Programs read it to list interfaces and sockets.

import type { Tree } from '../pseudo.ts';

const DEV = 'Inter-|   Receive                                                |  Transmit\n'
  + ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n'
  + '    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n';
const TCP = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'.padEnd(149) + '\n';
const UDP = '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt'
  + '   uid  timeout inode ref pointer drops             \n';
const TCP6 = '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt'
  + '   uid  timeout inode\n';
const UDP6 = '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt'
  + '   uid  timeout inode ref pointer drops\n';

/** The files, all constant. Sockets inside the sandbox are not listed. */
export const NET_FILES: Tree = {
  dev: DEV, tcp: TCP, tcp6: TCP6, udp: UDP, udp6: UDP6, unix: 'Num       RefCount Protocol Flags    Type St Inode Path\n',
  route: 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'.padEnd(127) + '\n',
  arp: 'IP address       HW type     Flags       HW address            Mask     Device\n', ipv6_route: '',
  if_inet6: '00000000000000000000000000000001 01 80 10 80       lo\n', wireless: '', protocols: '',
  raw: TCP, raw6: TCP6, sockstat: 'sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n',
};
