import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Address } from "../../emulator/machine/virtual-machine.ts";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { LineMap } from "../execution/step-motion.ts";
import { sentenceOf } from "../request-error.ts";
import {
	type BreakpointLocation,
	type SourceRange,
	SymbolError,
	SymbolFile,
	type SymbolFileOptions,
	SymbolTable,
	type VirtualFrame,
} from "../symbols/index.ts";
import { fileName, SourcePaths } from "./source-paths.ts";

/** Stops that are remembered. */
const MOST_STOPS = 1024;
/** A stop farther away than this says nothing of an instruction. */
const NEAREST_STOP = 256n;

/** The program in the guest as its symbol files describe it. */
export class Program implements LineMap {
	readonly table = new SymbolTable();
	readonly paths = new SourcePaths();
	/** The vCPU of the domain that a symbol file is of, where several guests run; see Address.processor. */
	private readonly owners = new Map<SymbolFile, number>();
	/** What each file was opened from, for opening it at another place. */
	private readonly origins = new Map<SymbolFile, { readonly bytes: Uint8Array; readonly options: SymbolFileOptions }>();
	/** Where the machine has stopped: each is the start of an instruction, also where no symbol tells. */
	private readonly stops = new Set<bigint>();
	/** Sentences that were said: a damaged file is complained of once, not at each step. */
	private readonly complaints = new Set<string>();

	constructor(private readonly debuggee: Debuggee) {}

	/** Opens a symbol file. @throws with one sentence when it is none. */
	add(bytes: Uint8Array, options: SymbolFileOptions, owner?: number): SymbolFile {
		const { inflate } = this.debuggee.host;
		const file = this.table.add(bytes, inflate ? { inflate, ...options } : options);
		if (owner !== undefined) this.owners.set(file, owner);
		this.origins.set(file, { bytes, options });
		return file;
	}

	/** Whether a file may be moved as a whole: it belongs to no domain, and its sections keep their distances. */
	canMove(file: SymbolFile): boolean {
		return this.origins.has(file) && !this.owners.has(file) && !this.origins.get(file)!.options.sectionBases;
	}

	/** Opens a file again, its addresses `slide` higher than they are now. */
	move(file: SymbolFile, slide: bigint): void {
		const { bytes, options } = this.origins.get(file)!;
		this.table.remove(file);
		this.origins.delete(file);
		this.add(bytes, { ...options, bias: (options.bias ?? 0n) + slide });
	}

	/** Where a breakpoint lies: the address is one of the domain that the symbol file is of. */
	addressOf({ address, file }: BreakpointLocation): Address {
		const processor = this.owners.get(file);
		return { space: "lin", value: address, ...(processor === undefined ? {} : { processor }) };
	}

	/** Opens a symbol file without adding it. @throws with one sentence when it is none. */
	probe(bytes: Uint8Array, options: SymbolFileOptions): SymbolFile {
		const { inflate } = this.debuggee.host;
		return SymbolFile.open(bytes, inflate ? { inflate, ...options } : options);
	}

	clear(): void {
		for (const file of [...this.table.files]) this.table.remove(file);
		this.owners.clear();
		this.origins.clear();
		this.stops.clear();
		this.complaints.clear();
	}

	/**
	 * The answer of a query, or `otherwise` when the symbol file turns out to be damaged there: stepping and looking
	 * around go on without that piece of information.
	 */
	ask<Answer>(query: (table: SymbolTable) => Answer, otherwise: Answer): Answer {
		try {
			return query(this.table);
		} catch (error) {
			if (!(error instanceof SymbolError)) throw error;
			const sentence = sentenceOf(error);
			if (!this.complaints.has(sentence)) {
				this.complaints.add(sentence);
				this.debuggee.emit("output", { category: "stderr", output: `${sentence}\n` });
			}
			return otherwise;
		}
	}

	/**
	 * The address whose names hold for a linear address: code in the translation cache is named after the guest
	 * instruction that it was made from.
	 */
	guestAddress(address: bigint): bigint {
		if (!this.debuggee.hasMachine || !this.debuggee.isTranslatedCode(address)) return address;
		return this.debuggee.machine.translationCache?.guestAddressOf(address) ?? address;
	}

	/** "main+0x12"; undefined where no symbol is. */
	symbolize(address: bigint): string | undefined {
		return this.ask((table) => table.nameAt(address), undefined);
	}

	/** "0x100012 (main+0x12)" */
	readonly describe = (address: bigint): string => {
		const name = this.symbolize(this.guestAddress(address));
		return name === undefined ? hex(address) : `${hex(address)} (${name})`;
	};

	/** The source range of an address, with the path as the compiler wrote it. */
	rangeAt(address: bigint): SourceRange | undefined {
		return this.ask((table) => table.lineAt(address), undefined);
	}

	/** The source line of an instruction, with the path on this machine. */
	locate(address: bigint): { path: string; line: number } | undefined {
		const range = this.rangeAt(address);
		return range && { path: this.paths.toLocal(range.file), line: range.line };
	}

	lineAt(address: bigint): { path: string; line: number; start: bigint } | undefined {
		const range = this.rangeAt(address);
		if (!range || range.line === 0) return undefined;
		// A row that begins no statement is no place to stop at.
		return { path: range.file, line: range.line, start: range.isStatement ? range.start : -1n };
	}

	bodyOf(address: bigint): bigint | undefined {
		return this.ask((table) => {
			const file = table.fileAt(address);
			const found = file?.functionAt(address);
			if (!file || !found || !file.lineAt(address)) return undefined;
			return file.map.toLoaded(found.prologueEnd);
		}, undefined);
	}

	framesAt(address: bigint): VirtualFrame[] {
		return this.ask((table) => table.framesAt(address), []);
	}

	/** The machine stands still before the instruction at the address. */
	stoppedAt(address: bigint): void {
		this.stops.delete(address);
		this.stops.add(address);
		if (this.stops.size > MOST_STOPS) this.stops.delete(this.stops.values().next().value!);
	}

	/** The greatest known instruction start below the address: of a line, a symbol, a translation unit, or a stop. */
	startBefore(address: bigint): bigint | undefined {
		const starts: bigint[] = [];
		const line = this.rangeAt(address - 1n);
		if (line && line.start < address) starts.push(line.start);
		for (const stop of this.stops) if (stop < address && address - stop <= NEAREST_STOP) starts.push(stop);
		const symbol = this.ask((table) => table.symbolAt(address - 1n), undefined);
		if (symbol && symbol.symbol.address < address) starts.push(symbol.symbol.address);
		if (this.debuggee.hasMachine) {
			const fragment = this.debuggee.machine.translationCache?.fragmentAt(address - 1n);
			for (const one of fragment?.lines ?? []) {
				if (one.translated < address) starts.push(one.translated);
				if (one.guest < address) starts.push(one.guest);
			}
		}
		return starts.reduce<bigint | undefined>(
			(greatest, start) => (greatest === undefined || start > greatest ? start : greatest),
			undefined,
		);
	}

	/** A path as the client is told of it. */
	source(recorded: string): DebugProtocol.Source {
		const path = this.paths.toLocal(recorded);
		return { name: fileName(path), path };
	}
}
