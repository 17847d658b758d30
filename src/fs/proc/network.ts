/** /proc/net: there is no network here, and these are the texts of a Linux whose network namespace is empty. */

import { file, type Node } from '../kernfs.ts'

const DEVICES = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
`
const SOCKETS =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n'
const SOCKETS6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const DATAGRAMS =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n'
const ROUTES =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n'

export function network(): Record<string, Node> {
  return {
    arp: file(() => 'IP address       HW type     Flags       HW address            Mask     Device\n'),
    dev: file(() => DEVICES),
    if_inet6: file(() => ''),
    route: file(() => ROUTES),
    tcp: file(() => SOCKETS),
    tcp6: file(() => SOCKETS6),
    udp: file(() => DATAGRAMS),
    udp6: file(() => SOCKETS6),
    unix: file(() => 'Num       RefCount Protocol Flags    Type St Inode Path\n'),
  }
}
