// The HTML of a webview. It holds no content: the script builds everything from messages, guest text by textContent.
import { randomNonce } from "./nonce.ts";

export interface PageParts {
	readonly title: string;
	/** Addresses as `asWebviewUri` gives them. */
	readonly script: string;
	readonly style: string;
	/** `webview.cspSource` */
	readonly source: string;
	/** BCP 47 tag of the editor's language. */
	readonly language: string;
}

function escapeMarkup(text: string): string {
	return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** A page that loads exactly one script and one style sheet of ours and nothing else. */
export function webviewPage(parts: PageParts, nonce: string = randomNonce()): string {
	const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src ${parts.source}; font-src ${parts.source}`;
	return `<!DOCTYPE html>
<html lang="${escapeMarkup(parts.language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeMarkup(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(parts.title)}</title>
<link rel="stylesheet" href="${escapeMarkup(parts.style)}">
</head>
<body>
<div id="root"></div>
<script nonce="${nonce}" src="${escapeMarkup(parts.script)}"></script>
</body>
</html>`;
}
