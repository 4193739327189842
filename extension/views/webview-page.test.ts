import assert from "node:assert/strict";
import { test } from "node:test";
import { webviewPage } from "./webview-page.ts";

const parts = { title: "A <b>", script: "s.js", style: "s.css", source: "https://x.example", language: 'en"' };

test("a page allows one script by its nonce, no inline code and no network", () => {
	const page = webviewPage(parts, "abc");
	assert.match(page, /default-src &#39;none&#39;; script-src &#39;nonce-abc&#39;;/);
	assert.doesNotMatch(page, /unsafe|connect-src|\*/);
	assert.equal(page.match(/<script/g)!.length, 1);
});

test("titles and languages cannot break out of the page", () => {
	const page = webviewPage(parts, "abc");
	assert.ok(page.includes("A &#60;b&#62;"));
	assert.ok(page.includes('lang="en&#34;"'));
});

test("each page has its own nonce", () => {
	assert.notEqual(webviewPage(parts), webviewPage(parts));
});
