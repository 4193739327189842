// A kernel that moved itself (KASLR) leaves its symbols behind. Its interrupt descriptor table tells where it went: the gates
// lead to functions whose symbols are known, all of them equally far away.
import type { Processor } from "../../emulator/machine/virtual-machine.ts";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { SymbolFile } from "../symbols/index.ts";
import type { Program } from "./program.ts";
import { fileName } from "./source-paths.ts";

/** The vectors of the processor's own exceptions: a kernel sets each of them. */
const VECTORS = 32;
/** With fewer gates that lead to different places an accident is possible. */
const FEWEST_HANDLERS = 8;
/** Kernels move by whole pages. */
const PAGE = 4096n;

/** Where the present gates of the first vectors lead (SDM Vol. 3A §7.11 and §7.14.1), each place once. */
export function handlersOf(processor: Processor): bigint[] {
	const base = processor.register("idtr");
	const isProtected = ((processor.register("cr0") ?? 0n) & 1n) !== 0n;
	if (base === undefined || !isProtected) return [];
	const wide = ((processor.register("ia32_efer") ?? 0n) & 0x400n) !== 0n;
	const size = wide ? 16 : 8;
	const table = processor.readMemory({ space: "lin", value: base }, VECTORS * size);
	if (!table) return [];
	const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
	const handlers = new Set<bigint>();
	for (let at = 0; at + size <= table.length; at += size) {
		const isPresent = (view.getUint8(at + 5) & 0x80) !== 0;
		const type = view.getUint8(at + 5) & 0x0f;
		// Interrupt and trap gates of 32 or 64 bits; a task gate leads to no code.
		if (!isPresent || (type !== 0xe && type !== 0xf)) continue;
		const low = BigInt(view.getUint16(at, true)) | (BigInt(view.getUint16(at + 6, true)) << 16n);
		handlers.add(wide ? low | (BigInt(view.getUint32(at + 8, true)) << 32n) : low);
	}
	return [...handlers];
}

/** How far above their symbols the handlers lie: 0 when they lie where they should, undefined when nothing fits. */
export function findSlide(handlers: readonly bigint[], symbols: BigUint64Array): bigint | undefined {
	if (handlers.length < FEWEST_HANDLERS) return undefined;
	const known = new Set(symbols);
	// Some gates may lead to code without symbols: generated stubs.
	const enough = Math.max(FEWEST_HANDLERS, Math.ceil((handlers.length * 3) / 4));
	const fits = (slide: bigint) => handlers.filter((handler) => known.has(handler - slide)).length >= enough;
	if (fits(0n)) return 0n;
	for (const handler of handlers.slice(0, handlers.length - enough + 1))
		for (const symbol of symbols) {
			const slide = handler - symbol;
			if (slide % PAGE === 0n && fits(slide)) return slide;
		}
	return undefined;
}

/** Moves the symbols of a kernel that moved, at the first stop that tells. */
export class SymbolSlides {
	/** What was looked at: a table and a file at its place; neither says anything new when it is met again. */
	private readonly seen = new Set<string>();
	/** By path: the same image moves to the same place when it is started again, as every run is the same run. */
	private readonly known = new Map<string, bigint>();

	constructor(
		private readonly debuggee: Debuggee,
		private readonly program: Program,
	) {}

	/** The symbols were opened anew: they go where they were moved to before. */
	reopened(): void {
		this.seen.clear();
		for (const file of [...this.program.table.files]) {
			const slide = this.known.get(file.name);
			if (slide !== undefined && this.program.canMove(file)) this.program.move(file, slide);
		}
	}

	/** At a stop. True when symbols were moved: what was placed by them has to be placed again. */
	check(): boolean {
		const handlers = handlersOf(this.debuggee.focusedProcessor());
		if (handlers.length < FEWEST_HANDLERS) return false;
		let moved = false;
		for (const file of [...this.program.table.files]) {
			const key = `${file.name} ${hex(file.map.toLoaded(0n))} ${handlers.join()}`;
			if (this.seen.has(key) || !this.program.canMove(file)) continue;
			this.seen.add(key);
			const slide = this.slideOf(file, handlers);
			if (!slide) continue;
			this.program.move(file, slide);
			this.known.set(file.name, (this.known.get(file.name) ?? 0n) + slide);
			moved = true;
			this.debuggee.emit("output", {
				category: "important",
				output: `${fileName(file.name)}: the kernel runs ${hex(slide)} from the addresses of its symbols (KASLR). The symbols were moved, and the breakpoints with them; after a restart they hold from the start.\n`,
			});
		}
		return moved;
	}

	private slideOf(file: SymbolFile, handlers: readonly bigint[]): bigint | undefined {
		return this.program.ask(() => {
			const addresses = file.symbols.addresses;
			return findSlide(
				handlers,
				addresses.map((address) => file.map.toLoaded(address)),
			);
		}, undefined);
	}
}
