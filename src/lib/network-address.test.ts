import { expect, test } from 'vitest'
import { isForbiddenAddress, isPublicAddress, Networks, resolveHost } from './network-address.ts'

test.each([
  '169.254.0.1',
  '169.254.169.254',
  '169.254.255.255',
  'fe80::1',
  'fe80::1%eth0',
  'febf:ffff::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  '168.63.129.16',
  '100.100.100.200',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '0:0:0:0:0:ffff:a9fe:a9fe',
  '::169.254.169.254',
  '64:ff9b::169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  'no address',
  '',
])('S33: %s is forbidden', (address) => {
  expect(isForbiddenAddress(address)).toBe(true)
})

test.each([
  '127.0.0.1',
  '10.0.0.1',
  '172.16.3.4',
  '192.168.1.5',
  '169.253.255.255',
  '169.255.0.0',
  '8.8.8.8',
  '::1',
  'fd12:3456::1',
  'fec0::1',
  '2001:db8::1',
  '::ffff:10.0.0.1',
  '64:ff9b::808:808',
])('S33: %s is allowed', (address) => {
  expect(isForbiddenAddress(address)).toBe(false)
})

test.each(['169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518', '0xA9.254.0251.254'])(
  'S33: %s, as the system reads it, is forbidden',
  async (spelling) => {
    const addresses = await resolveHost(spelling)
    expect(addresses.length).toBeGreaterThan(0)
    expect(addresses.every(({ address }) => isForbiddenAddress(address))).toBe(true)
  },
)

test('S30: an address is public where every network can reach it, and in no other form', () => {
  for (const address of ['93.184.216.34', '1.1.1.1', '2606:4700::1111', '2a00:1450:4001::1']) {
    expect(isPublicAddress(address), address).toBe(true)
  }
  for (const address of [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '203.0.113.9',
    '224.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '::',
    '::1',
    '::ffff:93.184.216.34',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::808:808',
    '2002:5db8:d822::',
    'fc00::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '2001:db8::1',
    '2001::1',
    '100::1',
    'fe80::1%eth0',
    'localhost',
    '',
  ]) {
    expect(isPublicAddress(address), address).toBe(false)
  }
})

test('networks are read from addresses and prefixes, and hold what lies in them', () => {
  const networks = new Networks(['10.1.0.0/16', '192.168.7.9', 'fd00:1::/32', '::1'])
  for (const address of ['10.1.255.1', '192.168.7.9', 'fd00:1:2::3', '::1']) expect(networks.has(address)).toBe(true)
  for (const address of ['10.2.0.1', '192.168.7.8', 'fd00:2::1', '127.0.0.1', 'localhost']) {
    expect(networks.has(address), address).toBe(false)
  }
  for (const text of ['10.0.0.0/33', 'localhost', '10.0.0/8', '::/129', '10.0.0.0/-1', '/8']) {
    expect(() => new Networks([text]), text).toThrow(RangeError)
  }
})
