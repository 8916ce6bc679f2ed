/** A word in a corner of the page about what was done, or was not, and what to do next. */
export function say(message: string, problem?: { readonly hint: string }): void {
  void import('@mantine/notifications').then(({ notifications }) =>
    notifications.show(
      problem === undefined ? { message } : { color: 'red', title: message, message: problem.hint, autoClose: 10_000 },
    ),
  )
}
