/** Replaces each {expression} by what `show` makes of it; "{{" and "}}" stand for single braces. */
export function fillLogMessage(message: string, show: (expression: string) => string): string {
	return message.replaceAll(/\{\{|\}\}|\{([^{}]*)\}/g, (whole, expression: string | undefined) =>
		expression === undefined ? whole[0]! : show(expression),
	);
}
