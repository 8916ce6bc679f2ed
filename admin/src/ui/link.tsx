import { Anchor, Button, type AnchorProps, type ButtonProps } from '@mantine/core'
import { createLink } from '@tanstack/react-router'
import type { ComponentProps } from 'react'

type Own<P> = P & Omit<ComponentProps<'a'>, keyof P>

/** A text that leads to a page of ours, with the parameters of its route checked. */
export const TextLink = createLink((props: Own<AnchorProps>) => <Anchor size="sm" {...props} />)

/** A button that does. */
export const ButtonLink = createLink((props: Own<ButtonProps>) => <Button component="a" {...props} />)
