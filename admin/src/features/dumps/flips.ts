import type { SwitchProps } from '@mantine/core'

/** Switches of a draft, each by the name of what it turns on. */
export function flips<Draft extends object>(
  draft: Draft,
  set: (change: Partial<Draft>) => void,
): (name: keyof Draft) => Pick<SwitchProps, 'size' | 'checked' | 'onChange'> {
  return (name) => ({
    size: 'xs',
    checked: draft[name] === true,
    onChange: (event) => set({ [name]: event.currentTarget.checked } as Partial<Draft>),
  })
}
