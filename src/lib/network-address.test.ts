import { expect, test } from 'vitest'
import { isForbiddenAddress, resolveHost } from './network-address.ts'

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
