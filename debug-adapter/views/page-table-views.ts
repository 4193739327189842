import type { Mapping, Walk, WalkStep } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, hex, parseMemoryReference } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { NestedWalkBody } from "../hypervisor-protocol.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { Program } from "../program/program.ts";
import type { MappingInfo, MappingsBody, PageWalkBody, TablesBody, WalkInfo, WalkStepInfo } from "../protocol.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { RequestError } from "../request-error.ts";
import type { RequestContext, RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";

const MOST_MAPPINGS = 4096;
/** Mappings looked at in one piece of a scan, and pieces in one request. */
const PIECE = 1024;
const MOST_PIECES = 256;

export function describeStep(step: WalkStep): WalkStepInfo {
	return {
		level: step.level,
		index: step.index,
		entryAddress: formatAddress(step.entryAddress),
		entry: hex(step.entry),
		flags: [...step.flags],
		...(step.failure === undefined ? {} : { failure: step.failure }),
	};
}

export function describeWalk(walk: Walk): WalkInfo {
	return {
		table: walk.table,
		steps: walk.steps.map(describeStep),
		...(walk.result ? { result: { ...walk.result, address: formatAddress(walk.result.address) } } : {}),
	};
}

function describeMapping(mapping: Mapping): MappingInfo {
	return {
		...mapping,
		start: hex(mapping.start),
		end: hex(mapping.end),
		target: formatAddress(mapping.target),
	};
}

/** The filter of a request as a predicate; every part that is given must hold. */
function mappingFilter(args: RequestArguments | undefined): (mapping: Mapping) => boolean {
	if (!args) return () => true;
	const privilege = args.optionalWord("privilege", ["kernel", "user"]);
	const large = args.optionalBoolean("large");
	const flags = (["writable", "executable", "global", "dirty"] as const).flatMap((name) => {
		const wanted = args.optionalBoolean(name);
		return wanted === undefined ? [] : [{ name, wanted }];
	});
	const contains = args.optionalString("contains");
	const address = contains === undefined ? undefined : parseMemoryReference(contains);
	return (mapping) => {
		if (privilege !== undefined && mapping.user !== (privilege === "user")) return false;
		if (large !== undefined && mapping.pageSize > 4096 !== large) return false;
		if (flags.some(({ name, wanted }) => mapping[name] !== wanted)) return false;
		if (!address) return true;
		const length = mapping.end - mapping.start;
		if (address.space === "lin") return address.value >= mapping.start && address.value < mapping.end;
		const { target } = mapping;
		return address.space === target.space && address.value >= target.value && address.value < target.value + length;
	};
}

export function pageTableViewRequests(
	debuggee: Debuggee,
	frames: FrameStore,
	evaluator: Evaluator,
	program: Program,
): RequestHandlers {
	const mappings = (args: RequestArguments, context: RequestContext): MappingsBody => {
		const threadId = args.integer("threadId");
		const table = args.string("table");
		const limit = args.optionalInteger("limit", 1, MOST_MAPPINGS) ?? 256;
		const fits = mappingFilter(args.optionalObject("filter"));
		let from = args.optionalQuantity("from") ?? 0n;
		void debuggee.stopped;
		const processor = debuggee.processor(threadId);
		const tables = tablesOf(threadId);
		if (!tables.includes(table))
			throw new RequestError(`There is no table "${table}" now: the tables are ${tables.join(", ") || "none"}.`);
		const found: MappingInfo[] = [];
		for (let piece = 0; piece < MOST_PIECES; piece++) {
			if (context.isCancelled()) throw new RequestError("cancelled");
			const part = processor.mappings(table, from, PIECE);
			for (const mapping of part) {
				if (fits(mapping)) found.push(describeMapping(mapping));
				from = mapping.end;
				if (found.length === limit) return { mappings: found, next: hex(from) };
			}
			if (part.length < PIECE) return { mappings: found };
		}
		return { mappings: found, next: hex(from) };
	};

	/** What a walk starts from. */
	const walkArguments = (args: RequestArguments) => {
		const threadId = args.integer("threadId");
		const text = args.string("address");
		const wanted = args.optionalObject("access");
		const write = wanted?.optionalBoolean("write");
		const user = wanted?.optionalBoolean("user");
		const execute = wanted?.optionalBoolean("execute");
		void debuggee.stopped;
		const processor = debuggee.processor(threadId);
		const { space, value } = evaluator.address(text, frames.top(processor));
		if (space !== "lin")
			throw new RequestError(`A page walk starts from a linear address; "${text}" is in the space ${space}.`);
		const access = {
			...(write === undefined ? {} : { write }),
			...(user === undefined ? {} : { user }),
			...(execute === undefined ? {} : { execute }),
		};
		return { processor, linear: value, access };
	};

	const described = (linear: bigint) => {
		const symbol = program.symbolize(linear);
		return { linear: hex(linear), ...(symbol === undefined ? {} : { symbol }) };
	};

	const tablesOf = (threadId: number) =>
		debuggee
			.processor(threadId)
			.walk(0n)
			.map((walk) => walk.table);

	return {
		"hyperscope/tables": (args): TablesBody => {
			const threadId = args.integer("threadId");
			void debuggee.stopped;
			return { tables: tablesOf(threadId) };
		},

		"hyperscope/pageWalk": (args): PageWalkBody => {
			const { processor, linear, access } = walkArguments(args);
			return { ...described(linear), walks: processor.walk(linear, access).map(describeWalk) };
		},

		"hyperscope/nestedWalk": (args): NestedWalkBody => {
			const { processor, linear, access } = walkArguments(args);
			const walk = processor.nestedWalk?.(linear, access);
			if (!walk) return described(linear);
			return {
				...described(linear),
				walk: {
					references: walk.references.map(({ number, dimension, row, guestPhysical, step }) => ({
						number,
						dimension,
						row,
						guestPhysical: hex(guestPhysical),
						step: describeStep(step),
					})),
					...(walk.guestPhysical === undefined ? {} : { guestPhysical: hex(walk.guestPhysical) }),
					...(walk.hostPhysical === undefined ? {} : { hostPhysical: hex(walk.hostPhysical) }),
					...(walk.failure === undefined ? {} : { failure: walk.failure }),
					...(walk.note === undefined ? {} : { note: walk.note }),
				},
			};
		},

		"hyperscope/mappings": mappings,
	};
}
