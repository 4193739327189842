import type { IommuView } from "../../emulator/machine/hypervisor-views.ts";
import { formatSourceId, hex, parseSourceId } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { IommuInfo, IommusBody, IommuWalkBody } from "../hypervisor-protocol.ts";
import type { Evaluator } from "../program/evaluator.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { describeWalk } from "./page-table-views.ts";

function describeUnit(unit: IommuView): IommuInfo {
	return {
		name: unit.name,
		enabled: unit.enabled,
		...(unit.rootTable === undefined ? {} : { rootTable: hex(unit.rootTable) }),
		translated: unit.translated,
		blocked: unit.blocked,
		devices: unit.devices().map(({ source, name, treatment, domain, levels, table }) => ({
			source: formatSourceId(source),
			name,
			treatment,
			...(domain === undefined ? {} : { domain }),
			...(levels === undefined ? {} : { levels }),
			...(table === undefined ? {} : { table: hex(table) }),
		})),
		faults: unit.faults().map(({ instructionCount, source, address, access, reason, meaning }) => ({
			instructionCount,
			source: formatSourceId(source),
			address: hex(address),
			access,
			reason,
			meaning,
		})),
	};
}

export function iommuViewRequests(debuggee: Debuggee, frames: FrameStore, evaluator: Evaluator): RequestHandlers {
	return {
		"hyperscope/iommus": (): IommusBody => ({ units: (debuggee.stopped.iommus ?? []).map(describeUnit) }),

		"hyperscope/iommuWalk": (args): IommuWalkBody => {
			const index = args.optionalInteger("unit", 0) ?? 0;
			const source = parseSourceId(args.string("source"));
			const text = args.string("address");
			const write = args.optionalBoolean("write");
			const unit = debuggee.stopped.iommus?.[index];
			if (!unit) throw new RequestError(`There is no IOMMU ${index} in this machine.`);
			const { space, value } = evaluator.address(text, frames.top(debuggee.focusedProcessor()));
			if (space !== "lin" && space !== "iova")
				throw new RequestError(`"${text}" is no device address: write a number, or iova: and a number.`);
			return { walk: describeWalk(unit.walk(source, value, write === undefined ? {} : { write })) };
		},
	};
}
