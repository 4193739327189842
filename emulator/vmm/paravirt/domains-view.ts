// Domains as views show them: read from the tables that the hypervisor works with.

import type { DomainPage, DomainsView, DomainView } from "../../machine/hypervisor-views.ts";
import type { VmEventField } from "../../machine/vm-events.ts";
import type { Domain } from "./domain.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { FrameFlag, pageTypeNames } from "./memory/frame-table.ts";

/** What other parts know of a domain. */
export interface DomainParts {
	eventChannels(domain: number): DomainView["eventChannels"];
	grants(domain: number): DomainView["grants"];
	detail(domain: number): readonly VmEventField[];
}

export class Domains implements DomainsView {
	constructor(
		private readonly hypervisor: () => Hypervisor,
		private readonly parts: () => DomainParts,
	) {}

	list(): DomainView[] {
		return [...this.hypervisor().domains.values()].sort((a, b) => a.id - b.id).map((domain) => this.view(domain));
	}

	private view(domain: Domain): DomainView {
		const { frames } = this.hypervisor();
		const counts = new Map<string, { pages: number; pinned: number }>();
		for (let frame = 0; frame < frames.frames; frame++) {
			if (frames.owner[frame] !== domain.id || frames.has(frame, FrameFlag.shared)) continue;
			const type = pageTypeNames[frames.typeCount[frame]! > 0 ? frames.type[frame]! : 0]!;
			const entry = counts.get(type) ?? { pages: 0, pinned: 0 };
			entry.pages++;
			if (frames.has(frame, FrameFlag.pinned)) entry.pinned++;
			counts.set(type, entry);
		}
		const { vcpu } = domain;
		const parts = this.parts();
		const detail: VmEventField[] = [
			{ name: "kernel", value: domain.wide ? "64-bit, ring 3" : "32-bit PAE, ring 1" },
			{ name: "root table", value: BigInt(Math.max(0, vcpu.root)) * 4096n },
			...(vcpu.userRoot < 0 ? [] : [{ name: "user root table", value: BigInt(vcpu.userRoot) * 4096n }]),
			{ name: "shared info", value: BigInt(domain.sharedInfoFrame) * 4096n },
			...(domain.ending === "" ? [] : [{ name: domain.state, value: domain.ending }]),
			...parts.detail(domain.id),
		];
		return {
			id: domain.id,
			name: domain.name,
			state: domain.state,
			pages: domain.pages,
			maximumPages: domain.maximumPages,
			pageTypes: [...counts]
				.sort(([a], [b]) => (a < b ? -1 : 1))
				.map(([type, { pages, pinned }]) => ({ type, pages, pinned })),
			eventChannels: parts.eventChannels(domain.id),
			grants: parts.grants(domain.id),
			detail,
		};
	}

	pages(id: number, from: bigint, limit: number, type?: string): DomainPage[] {
		const hypervisor = this.hypervisor();
		const domain = hypervisor.domains.get(id);
		const found: DomainPage[] = [];
		if (domain === undefined || from < 0n) return found;
		const { frames } = hypervisor;
		const list = domain.physicalToMachine;
		for (let page = Number(from); page < list.length && found.length < limit; page++) {
			const frame = list[page];
			if (frame === undefined || frame < 0) continue;
			const name = pageTypeNames[frames.typeCount[frame]! > 0 ? frames.type[frame]! : 0]!;
			if (type !== undefined && type !== name) continue;
			found.push({
				page: BigInt(page),
				frame: BigInt(frame),
				type: name,
				typeCount: frames.typeCount[frame]!,
				referenceCount: frames.referenceCount[frame]!,
				pinned: frames.has(frame, FrameFlag.pinned),
			});
		}
		return found;
	}
}
