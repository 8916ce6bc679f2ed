import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { wallMs } from './clock.ts'
import { Secret } from './secret.ts'
import { makeWebhookSecret, signWebhook } from './webhook-signature.ts'

test('S49: messages are signed as the published example of Standard Webhooks is', () => {
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', seconds: 1_614_265_330, body: '{"test": 2432232314}' }
  expect(signWebhook(message, [new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')])).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('S49: the reference library takes what either of two secrets signed, and nothing else', () => {
  const [first, second, other] = [makeWebhookSecret(), makeWebhookSecret(), makeWebhookSecret()]
  const body = JSON.stringify({ text: 'ÆØÅ 🐘 "quoted"' })
  const seconds = Math.floor(wallMs() / 1_000)
  const headers = { ...signWebhook({ id: 'msg_1', seconds, body }, [first, second]) }
  for (const secret of [first, second]) expect(new Webhook(secret.reveal()).verify(body, headers)).toBeTruthy()
  expect(() => new Webhook(other.reveal()).verify(body, headers)).toThrow('No matching signature')
  for (const changed of [
    { ...headers, 'webhook-id': 'msg_2' },
    { ...headers, 'webhook-timestamp': String(seconds + 1) },
    { ...headers, ...signWebhook({ id: 'msg_1', seconds: seconds - 600, body }, [first]) },
  ]) {
    expect(() => new Webhook(first.reveal()).verify(body, changed)).toThrow(/No matching signature|too old/)
  }
})
