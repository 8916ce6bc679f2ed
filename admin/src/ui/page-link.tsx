import { Anchor, Button, type AnchorProps, type ButtonProps } from '@mantine/core'
import { createLink } from '@tanstack/react-router'
import type { ComponentPropsWithRef } from 'react'

type Bare<P> = Omit<P, 'href'> & Omit<ComponentPropsWithRef<'a'>, keyof P>

/** A link to another page of ours, whose path, parameters and search the router knows. */
export const PageLink = createLink((props: Bare<AnchorProps>) => <Anchor size="sm" {...props} />)

/** The same as a button. */
export const PageButton = createLink((props: Bare<ButtonProps>) => <Button component="a" {...props} />)
