// The fragment view: what binary translation has made of the guest's code.
import type { FragmentBody, FragmentsBody } from "../../debug-adapter/protocol.ts";
import type { ViewState } from "../messages.ts";
import { element, fill } from "../shared/element.ts";
import { emptyState, message } from "../shared/empty-state.ts";
import { HostConnection } from "../shared/host.ts";
import "../shared/style.css";
import { FragmentList, type FragmentListChoices } from "./fragment-list.ts";
import { fragmentView } from "./fragment-view.ts";
import "./fragments.css";
import { hashTableView } from "./hash-table-view.ts";

const host = new HostConnection();
let choices = host.saved<FragmentListChoices>({ search: "", validOnly: true });
let state: ViewState = { phase: "none", hasTranslationCache: false, revision: 0, breakpoints: [] };
/** What the list was read for, and what is shown beside it. */
let read = "";
let fragment: FragmentBody | undefined;
let asking = 0;

const totals = element("p", { class: "totals", attributes: { role: "status" } });
const hashPlace = element("div", { class: "hash-place" });
const fragmentPlace = element("div", { class: "fragment-place" });
const list = new FragmentList(host, choices, {
	choose: (chosen) => {
		choices = chosen;
		host.save(choices);
	},
	select: ({ id }) => void showFragment({ id }),
	read: showTotals,
});
const content = element(
	"main",
	{ class: "content" },
	element("div", { class: "bar" }, totals, hashPlace),
	element("div", { class: "columns" }, list.element, fragmentPlace),
);
const root = document.getElementById("root")!;

function showTotals(body: FragmentsBody): void {
	const left = body.continuationsLeft === 1 ? "1 continuation left" : `${body.continuationsLeft} continuations left`;
	const made = body.total === 1 ? "1 fragment" : `${body.total} fragments`;
	totals.textContent = `${made}, ${left}; translation cache ${body.cacheStart} – ${body.cacheEnd}`;
}

async function showHashTable(): Promise<void> {
	try {
		fill(hashPlace, hashTableView(await host.request("hyperscope/hashTable", undefined)));
	} catch (error) {
		fill(hashPlace, (error as Error).message);
	}
}

function drawFragment(): void {
	if (!fragment) return;
	const scrolled = fragmentPlace.scrollTop;
	fill(fragmentPlace, fragmentView(fragment, state, host, { showFragment: (id) => void showFragment({ id }) }));
	fragmentPlace.scrollTop = scrolled;
}

/** Shows a fragment by id, or the one that holds an address. */
async function showFragment(which: { id: number } | { address: string }): Promise<void> {
	const asked = ++asking;
	try {
		const body = await host.request("hyperscope/fragment", {
			...which,
			...(state.thread ? { threadId: state.thread.id } : {}),
		});
		if (asked !== asking) return;
		fragment = body;
		list.reveal(body.id);
		drawFragment();
		fragmentPlace.querySelector("tr.current")?.scrollIntoView({ block: "nearest" });
	} catch (error) {
		if (asked !== asking) return;
		fragment = undefined;
		fill(fragmentPlace, element("p", { class: "error", attributes: { role: "alert" } }, (error as Error).message));
	}
}

/** After a stop: the fragment in which the selected processor stands, or else the one that was shown. */
async function showCurrentFragment(): Promise<void> {
	const asked = ++asking;
	const previous = fragment?.id;
	const threadId = state.thread!.id;
	const attempts = [{ address: "rip", threadId }, ...(previous === undefined ? [] : [{ id: previous, threadId }])];
	for (const attempt of attempts) {
		try {
			const body = await host.request("hyperscope/fragment", attempt);
			if (asked !== asking) return;
			fragment = body;
			list.reveal(body.id);
			drawFragment();
			fragmentPlace.querySelector("tr.current")?.scrollIntoView({ block: "nearest" });
			return;
		} catch {
			if (asked !== asking) return;
		}
	}
	fragment = undefined;
	fill(
		fragmentPlace,
		message(
			"The code at the instruction pointer has no fragment yet: it is translated when it first runs. Step the guest on, or choose a fragment from the list.",
		),
	);
}

function show(next: ViewState): void {
	const breakpointsChanged = next.breakpoints.join() !== state.breakpoints.join();
	state = next;
	const empty =
		emptyState(state, host, "the fragments that its code was translated to") ??
		(state.technique !== undefined && !state.hasTranslationCache
			? message(
					`This machine runs its guest with "vmm": "${state.technique}", which translates no code. Set "vmm": "bt" in launch.json to see fragments.`,
				)
			: undefined);
	if (empty) {
		read = "";
		fill(root, empty);
		return;
	}
	if (!content.isConnected) fill(root, content);
	if (!state.thread || !state.hasTranslationCache) return;
	const now = `${state.revision} ${state.thread.id}`;
	if (now !== read) {
		read = now;
		void list.refresh();
		void showHashTable();
		void showCurrentFragment();
	} else if (breakpointsChanged) drawFragment();
}

host.start(show, (address) => void showFragment({ address }));
