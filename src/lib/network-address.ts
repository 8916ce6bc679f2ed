import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

/** An address as a look-up of names gives it. */
export interface Address {
  readonly address: string
  readonly family: number
}

/** All addresses of a host name, or the address itself where it is one already. */
export type Resolve = (host: string) => Promise<readonly Address[]>

export const resolveHost: Resolve = (host) => lookup(host, { all: true })

/**
 * Addresses that only lead to the machine's own surroundings: link-local ones, and the metadata services of clouds, which
 * hand out credentials to whoever asks. IPv4 inside IPv6 (mapped, compatible, 6to4, NAT64) is looked at as well.
 */
const FORBIDDEN_V4: readonly (readonly [network: string, prefix: number])[] = [
  ['169.254.0.0', 16],
  ['168.63.129.16', 32],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
]

const FORBIDDEN_V6: readonly (readonly [network: string, prefix: number])[] = [
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
  // The prefix of a network's own NAT64, whose place for the IPv4 address is that network's choice (RFC 8215).
  ['64:ff9b:1::', 48],
]

/** Where IPv6 holds an IPv4 address, with the number of bits before it. */
const V4_INSIDE: readonly (readonly [before: string, bits: number])[] = [
  ['::ffff:', 96],
  ['::', 96],
  ['::ffff:0:', 96],
  ['64:ff9b::', 96],
  ['2002:', 16],
]

const forbidden = makeBlockList()

function makeBlockList(): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of FORBIDDEN_V6) list.addSubnet(network, prefix, 'ipv6')
  for (const [network, prefix] of FORBIDDEN_V4) {
    list.addSubnet(network, prefix, 'ipv4')
    const [a = 0, b = 0, c = 0, d = 0] = network.split('.').map(Number)
    const words = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
    for (const [before, bits] of V4_INSIDE) {
      list.addSubnet(bits === 16 ? `${before}${words}::` : `${before}${words}`, bits + prefix, 'ipv6')
    }
  }
  return list
}

/** Whether a host that is listened on is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Whether an address (no name) is link-local or of a metadata service. What is no address at all counts as forbidden. */
export function isForbiddenAddress(text: string): boolean {
  const address = text.replace(/%.*$/, '')
  const family = isIP(address)
  if (family === 0) return true
  return forbidden.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

const local = new BlockList()
for (const [network, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  local.addSubnet(network, prefix, 'ipv4')
}
local.addAddress('::1', 'ipv6')
local.addSubnet('fc00::', 7, 'ipv6')

/** Whether an address (no name) is of this machine or of a private network, where a connection may do without TLS. */
export function isLocalAddress(text: string): boolean {
  const family = isIP(text)
  return family !== 0 && local.check(text, family === 4 ? 'ipv4' : 'ipv6')
}

/** What no host of the public internet has (the registries of RFC 6890), and in IPv6 all that holds an IPv4 address. */
const special = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  special.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  special.addSubnet(network, prefix, 'ipv6')
}

/** The only part of IPv6 from which public addresses are given. */
const unicast = new BlockList()
unicast.addSubnet('2000::', 3, 'ipv6')

/** Whether an address (no name) is one of the public internet. What is no address at all is none. */
export function isPublicAddress(text: string): boolean {
  const family = isIP(text)
  if (family === 4) return !special.check(text, 'ipv4') && !isForbiddenAddress(text)
  return family === 6 && unicast.check(text, 'ipv6') && !special.check(text, 'ipv6') && !isForbiddenAddress(text)
}

/** Networks that somebody named by address and length of the prefix; an address alone is a network of one. */
export class Networks {
  readonly #list = new BlockList()

  /** @throws RangeError with the text that names none */
  constructor(texts: readonly string[]) {
    for (const text of texts) {
      const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
      const bits = isIP(address) === 4 ? 32 : 128
      const length = prefix === undefined ? bits : Number(prefix)
      if (isIP(address) === 0 || length > bits) throw new RangeError(text)
      this.#list.addSubnet(address, length, bits === 32 ? 'ipv4' : 'ipv6')
    }
  }

  has(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}
