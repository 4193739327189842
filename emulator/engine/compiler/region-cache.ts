// Which pages are hot, and their compiled regions. A sample is taken every so many instructions; a page that gets many of them
// while the interpreter runs it is compiled. Samples follow from the count of instructions, so that the same run compiles the same.

import type { FunctionBuilder, FunctionReference } from "../../isa/emit/function-builder.ts";
import { ModuleBuilder } from "../../isa/emit/module-builder.ts";
import type { Routine } from "../../isa/emit/routine.ts";
import { ValueType } from "../../isa/emit/value.ts";
import { BlockHeader, State } from "../../isa/state.ts";
import type { Block, CodeCache } from "../code-cache.ts";
import type { InstructionSet } from "../instruction-set.ts";
import { REGION_TABLE_SIZE } from "../interpreter.ts";
import type { InterpreterInstance } from "../interpreter-instance.ts";
import type { PhysicalMemory } from "../physical-memory.ts";
import { type RegionAssumptions, RegionEmitter } from "./region-emitter.ts";

const { i32 } = ValueType;
/** Samples in interpreted code after which a page is compiled. */
const HOT = 6;
/** Pages that wait are compiled together, at the latest after so many samples. */
const BATCH_PAGES = 4;
const BATCH_SAMPLES = 8;
/** Most instructions of one region: V8 takes its time over large functions. */
const MOST_INSTRUCTIONS = 400;
/** Most modules alive; each costs memory mappings (V8). */
const MOST_MODULES = 1500;
const MODES = 4;

interface HotPage {
	samples: number;
	/** Samples that it takes: more each time the page's code has changed. */
	threshold: number;
	/** What it is compiled into: first records of its blocks, places in the table. */
	records: number[];
	places: number[];
}

interface CompiledRegion {
	readonly page: HotPage;
	readonly blocks: readonly Block[];
	/** Numbers of the blocks that it can be entered at. */
	readonly entries: readonly number[];
	readonly place: number;
	/** Of the export. */
	readonly name: string;
	readonly builder: FunctionBuilder;
}

export class RegionCache {
	private readonly pages = new Map<number, HotPage>();
	private readonly waiting = new Set<number>();
	private waited = 0;
	private readonly free: number[] = [];
	private nextPlace = 1;
	private modules = 0;
	/** Functions and modules compiled, pages dropped because their code changed. */
	regionsCompiled = 0;
	modulesCompiled = 0;
	pagesDropped = 0;

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly code: CodeCache,
		private readonly interpreter: InterpreterInstance,
		private readonly set: InstructionSet,
	) {
		code.onPageChanged = (page) => this.dropPage(page);
		code.onFlush = () => this.dropAll();
	}

	/** A sample: the block with this first record was about to run. */
	sample(record: number): void {
		const { i32 } = this.physical;
		const header = record - BlockHeader.size;
		const mode = i32[(header + BlockHeader.mode) >> 2]!;
		if (i32[(header + BlockHeader.region) >> 2] === 0 && mode >= 2) {
			const key = i32[(header + BlockHeader.page) >> 2]! * MODES + mode;
			let page = this.pages.get(key);
			if (!page) {
				page = { samples: 0, threshold: HOT, records: [], places: [] };
				this.pages.set(key, page);
			}
			if (++page.samples >= page.threshold) this.waiting.add(key);
		}
		if (this.waiting.size === 0) return;
		if (++this.waited >= BATCH_SAMPLES || this.waiting.size >= BATCH_PAGES) this.compileWaiting();
	}

	/** Compiles what the page has decoded for a code size, for tests and measurements. */
	compilePage(page: number, mode: number): void {
		const key = page * MODES + mode;
		if (!this.pages.has(key)) this.pages.set(key, { samples: 0, threshold: HOT, records: [], places: [] });
		this.waiting.add(key);
		this.compileWaiting();
	}

	private compileWaiting(): void {
		this.waited = 0;
		if (this.modules >= MOST_MODULES) {
			for (const page of this.pages.values()) this.unlink(page);
			this.modules = 0;
		}
		const module = new ModuleBuilder(1);
		const helper = module.import("helper", [i32, i32, i32], [i32]);
		const routines = new Map<Routine, FunctionReference>();
		const routine = (wanted: Routine): FunctionReference => {
			const imported = routines.get(wanted) ?? module.import(wanted.name, wanted.parameters, wanted.results);
			routines.set(wanted, imported);
			return imported;
		};
		const compiled: CompiledRegion[] = [];
		for (const key of this.waiting) {
			const page = this.pages.get(key);
			if (!page) continue;
			this.unlink(page);
			page.samples = 0;
			const mode = key % MODES;
			for (const blocks of regionsOf(this.code.blocksOf(Math.floor(key / MODES), mode))) {
				const place = this.free.pop() ?? this.nextPlace++;
				if (place >= REGION_TABLE_SIZE) {
					this.nextPlace = REGION_TABLE_SIZE;
					continue;
				}
				const assumptions = this.assumptions(mode);
				const emitter = new RegionEmitter(this.physical, this.set, blocks, assumptions, place, helper, routine);
				const builder = emitter.emit();
				if (emitter.entries.length === 0) {
					this.free.push(place);
					continue;
				}
				compiled.push({ page, blocks, entries: emitter.entries, place, name: `r${place}`, builder });
			}
		}
		this.waiting.clear();
		if (compiled.length === 0) return;
		// All imports come before the functions.
		for (const { name, builder } of compiled) module.export(name, module.add(builder));
		const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
			env: { ...this.interpreter.routines, memory: this.physical.memory, helper: this.interpreter.helper },
		});
		this.modules++;
		this.modulesCompiled++;
		this.regionsCompiled += compiled.length;
		for (const region of compiled) this.link(region, instance.exports[region.name] as CallableFunction);
	}

	private assumptions(mode: number): RegionAssumptions {
		const { i32 } = this.physical;
		return {
			mode,
			stackMaskShift: mode === 3 ? 0 : i32[State.codeSize >> 2] === mode ? i32[State.stackMaskShift >> 2]! : 32,
			flatSegments: i32[State.flatSegments >> 2]!,
		};
	}

	private link({ page, blocks, entries, place }: CompiledRegion, region: CallableFunction): void {
		const { i32 } = this.physical;
		this.interpreter.regions.set(place, region);
		page.places.push(place);
		for (const entry of entries) {
			const header = (blocks[entry]!.record - BlockHeader.size) >> 2;
			i32[header + (BlockHeader.region >> 2)] = place;
			i32[header + (BlockHeader.entry >> 2)] = entry;
			page.records.push(blocks[entry]!.record);
		}
	}

	private unlink(page: HotPage): void {
		for (const record of page.records) this.physical.i32[(record - BlockHeader.size + BlockHeader.region) >> 2] = 0;
		for (const place of page.places) {
			this.interpreter.regions.set(place, null);
			this.free.push(place);
		}
		page.records = [];
		page.places = [];
	}

	private dropPage(number: number): void {
		for (let mode = 0; mode < MODES; mode++) {
			const page = this.pages.get(number * MODES + mode);
			if (!page || page.places.length === 0) continue;
			this.unlink(page);
			page.samples = 0;
			page.threshold *= 2;
			this.pagesDropped++;
		}
	}

	private dropAll(): void {
		for (const page of this.pages.values()) this.unlink(page);
		this.pages.clear();
		this.waiting.clear();
		this.modules = 0;
	}
}

/** Blocks in the order of their addresses, cut into regions. */
function regionsOf(blocks: Block[]): Block[][] {
	blocks.sort((a, b) => a.start - b.start);
	const regions: Block[][] = [];
	let instructions = MOST_INSTRUCTIONS;
	for (const block of blocks) {
		// What a block shares with one that begins inside it is compiled once.
		const previous = regions.at(-1)?.at(-1);
		const shared = previous !== undefined && previous.end > block.start;
		if (instructions >= MOST_INSTRUCTIONS && !(shared && instructions < 2 * MOST_INSTRUCTIONS)) {
			regions.push([]);
			instructions = 0;
		}
		regions.at(-1)!.push(block);
		instructions += shared ? 1 : block.instructions;
	}
	return regions;
}
