import type { DomainView, VmcsField, VmcsView } from "../../emulator/machine/hypervisor-views.ts";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { DomainInfo, DomainPagesBody, DomainsBody, VmcsBody, VmcsFieldInfo } from "../hypervisor-protocol.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { describeFields } from "./event-views.ts";

const MOST_PAGES = 4096;

function describeField(field: VmcsField): VmcsFieldInfo {
	return {
		name: field.name,
		encoding: `0x${field.encoding.toString(16).padStart(4, "0")}`,
		width: field.width,
		value: hex(field.value),
		...(field.meaning === undefined ? {} : { meaning: field.meaning }),
		changed: field.changed,
		bits: field.bits.map((bit) => ({ ...bit, value: hex(bit.value) })),
	};
}

function describeVmcs(vmcs: VmcsView): NonNullable<VmcsBody["vmcs"]> {
	const { lastExit, entryFailure } = vmcs;
	return {
		address: hex(vmcs.address),
		launchState: vmcs.launchState,
		inGuest: vmcs.inGuest,
		...(lastExit ? { lastExit: { reason: lastExit.reason, detail: describeFields(lastExit.detail) } } : {}),
		...(entryFailure ? { entryFailure } : {}),
		groups: vmcs.groups.map(({ name, fields }) => ({ name, fields: fields.map(describeField) })),
	};
}

function describeDomain(domain: DomainView): DomainInfo {
	return {
		...domain,
		grants: domain.grants.map((grant) => ({ ...grant, frame: hex(grant.frame) })),
		detail: describeFields(domain.detail),
	};
}

export function hypervisorViewRequests(debuggee: Debuggee): RequestHandlers {
	const domains = () => {
		const { domains: view, technique } = debuggee.stopped;
		if (!view)
			throw new RequestError(
				`There are no domains under "vmm": "${technique}": start a paravirtualized guest with "vmm": "pv".`,
			);
		return view;
	};

	return {
		"hyperscope/vmcs": (args): VmcsBody => {
			const address = args.optionalQuantity("address");
			const { vmx, technique } = debuggee.stopped;
			if (!vmx)
				throw new RequestError(
					`No VMCS is used under "vmm": "${technique}": start the guest with "vmm": "hvm", or a hypervisor of your own with "vmm": "none".`,
				);
			if (!vmx.enabled) return { enabled: false, regions: [] };
			const vmcs = vmx.read(address);
			if (!vmcs && address !== undefined)
				throw new RequestError(`There is no VMCS at ${hex(address)} that has been made active.`);
			return {
				enabled: true,
				regions: vmx.regions().map(({ address: at, current }) => ({ address: hex(at), current })),
				...(vmcs ? { vmcs: describeVmcs(vmcs) } : {}),
			};
		},

		"hyperscope/domains": (): DomainsBody => ({ domains: domains().list().map(describeDomain) }),

		"hyperscope/domainPages": (args): DomainPagesBody => {
			const domain = args.integer("domain", 0, 0xffff);
			const from = args.optionalQuantity("from") ?? 0n;
			const limit = args.optionalInteger("limit", 1, MOST_PAGES) ?? 256;
			const type = args.optionalString("type");
			const view = domains();
			if (!view.list().some(({ id }) => id === domain)) throw new RequestError(`There is no domain ${domain}.`);
			const found = view.pages(domain, from, limit + 1, type);
			return {
				pages: found.slice(0, limit).map((page) => ({ ...page, page: hex(page.page), frame: hex(page.frame) })),
				...(found.length > limit ? { next: hex(found[limit]!.page) } : {}),
			};
		},
	};
}
