// Builds the page. All text goes in as text nodes, so nothing that a guest wrote can become markup.

type Child = Node | string | undefined | false;

interface Options {
	readonly class?: string;
	readonly title?: string | undefined;
	/** Attributes as they are written in HTML. */
	readonly attributes?: Readonly<Record<string, string>>;
	readonly onClick?: (event: MouseEvent) => void;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
	tag: Tag,
	options: Options = {},
	...children: Child[]
): HTMLElementTagNameMap[Tag] {
	const made = document.createElement(tag);
	if (options.class) made.className = options.class;
	if (options.title) made.title = options.title;
	for (const [name, value] of Object.entries(options.attributes ?? {})) made.setAttribute(name, value);
	if (options.onClick) made.addEventListener("click", options.onClick as EventListener);
	made.append(...children.filter((child): child is Node | string => child !== undefined && child !== false));
	return made;
}

/** A button that looks like a link: it goes somewhere. */
export function link(text: string, title: string, onClick: () => void): HTMLButtonElement {
	return element("button", { class: "link", title, attributes: { type: "button" }, onClick }, text);
}

/** The editor's menu for an address (`webview/context` in package.json) on a right click or the menu key. */
export function addressContext(address: string): Record<string, string> {
	const context = { webviewSection: "address", address, preventDefaultContextMenuItems: true };
	return { "data-vscode-context": JSON.stringify(context) };
}

export function button(
	text: string,
	onClick: () => void,
	title?: string,
	kind: "primary" | "secondary" = "primary",
): HTMLButtonElement {
	return element("button", { class: `button ${kind}`, title, attributes: { type: "button" }, onClick }, text);
}

/** A button that stays pressed. */
export function toggle(
	text: string,
	title: string,
	pressed: boolean,
	onToggle: (pressed: boolean) => void,
): HTMLButtonElement {
	const made = element(
		"button",
		{ class: "toggle", title, attributes: { type: "button", "aria-pressed": String(pressed) } },
		text,
	);
	made.addEventListener("click", () => {
		const now = made.getAttribute("aria-pressed") !== "true";
		made.setAttribute("aria-pressed", String(now));
		onToggle(now);
	});
	return made;
}

/** A choice of one from a list. */
export function select(
	label: string,
	options: readonly { readonly value: string; readonly text: string }[],
	value: string,
	onChoose: (value: string) => void,
): HTMLSelectElement {
	const made = element("select", { class: "select", attributes: { "aria-label": label } });
	for (const option of options) made.append(element("option", { attributes: { value: option.value } }, option.text));
	made.value = value;
	made.addEventListener("change", () => onChoose(made.value));
	return made;
}

/** A line to type into; `onEnter` is called with its text on Enter. */
export function input(
	label: string,
	placeholder: string,
	value: string,
	onEnter: (text: string) => void,
): HTMLInputElement {
	const made = element("input", {
		class: "input",
		attributes: { type: "text", "aria-label": label, placeholder, spellcheck: "false" },
	});
	made.value = value;
	made.addEventListener("keydown", (event) => {
		if (event.key === "Enter") onEnter(made.value.trim());
	});
	return made;
}

/** Puts new children in place of all that were there. */
export function fill(parent: Element, ...children: Child[]): void {
	parent.replaceChildren(...children.filter((child): child is Node | string => child !== undefined && child !== false));
}
