// ../../../tmp/prof.ts
import { readFileSync } from "node:fs";

// emulator/isa/state.ts
var SegmentSlot = {
  /** i64: the base that addresses use: 0 for CS, DS, ES and SS in 64-bit mode (SDM Vol. 1 §3.4.4), else `base`. */
  effectiveBase: 0,
  /**
   * i64, unsigned: an access of n bytes at offset o is inside the segment and readable when o + n <= readBound.
   * 0 sends every access to the exact check (null, unreadable and expand-down segments); all-ones in 64-bit mode.
   */
  readBound: 8,
  /** i64, unsigned: the same for writes. */
  writeBound: 16,
  /** i32 */
  selector: 24,
  /** i32: access rights in VMX format (SDM Vol. 3C §25.4.1, Table 25-2): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
  access: 28,
  /** i64: the base as loaded. */
  base: 32,
  /** i32, unsigned: the limit in bytes, scaled by G. */
  limit: 40,
  size: 48
};
var Segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7 };
var State = {
  /** 16 × i64, in encoding order (RAX RCX RDX RBX RSP RBP RSI RDI R8..R15). AH, CH, DH, BH are the second bytes of the first four. */
  gpr: 0,
  /** Always zero: stands for an absent base or index register. */
  zero: 128,
  /** RIP of the start of the page that the current block lies in (linear page start minus CS base). Valid while generated code runs. */
  ripBase: 136,
  /** RIP of the next instruction; valid whenever generated code does not run, and in a helper: RIP of the current instruction. */
  rip: 144,
  /** The arithmetic flags in lazy form, see flags.ts: the last result, sign-extended to 64 bits. */
  flagsResult: 152,
  /** i32: carry, overflow, adjust and corrections to parity and sign, see flags.ts. */
  flagsAux: 160,
  /** i32: the other bits of EFLAGS at their places: TF IF DF IOPL NT RF VM AC VIF VIP ID (bit 1 and the arithmetic flags are 0 here). */
  flagsRest: 164,
  /** i32: instructions that may still retire before generated code has to return. */
  fuel: 168,
  /** i32: why generated code returned, see ExitReason in engine/. */
  exitReason: 172,
  /** i64: what TLB tags are combined with in their low 12 bits: generation and user/supervisor. */
  tlbContext: 176,
  /** i32: the same for the jump cache: code size, privilege, generation. */
  jumpContext: 184,
  /** i32: nonzero when an x87 or MMX instruction has to trap first (CR0.EM, CR0.TS). */
  x87Trap: 188,
  /** 8 segment slots of 48 bytes. */
  segments: 192,
  /** i32: nonzero when an SSE instruction has to trap first (CR0.EM, CR0.TS, CR4.OSFXSR clear). */
  sseTrap: 576,
  /** i32: current privilege level. */
  cpl: 580,
  /** i32: log2 of the code size in bytes: 1 = 16-bit, 2 = 32-bit, 3 = 64-bit. */
  codeSize: 584,
  /** i32: shift that makes the mask of stack addresses: 48 = 16-bit SP, 32 = ESP, 0 = RSP. */
  stackMaskShift: 588,
  /** i32: 1 while an external interrupt could be taken as far as EFLAGS.IF says (IF copied), else 0. */
  interruptsEnabled: 592,
  /** i32: nonzero when an interrupt controller asserts INTR (or NMI is pending). */
  interruptRequest: 596,
  /** 16 × 16 bytes. */
  xmm: 640,
  /** 8 × 16 bytes: the x87 data registers by physical number R0..R7, 80-bit in the low 10 bytes; MMn is the low 8 bytes of Rn. */
  x87: 896,
  /** i32 each: control word; status word with TOP in bits 13:11; tag word in FXSAVE's abridged form (bit n set = Rn not empty); last opcode. */
  x87Control: 1024,
  x87Status: 1028,
  x87Tag: 1032,
  x87Opcode: 1036,
  x87InstructionPointer: 1040,
  x87DataPointer: 1048,
  /** i32 each: selectors of the two pointers. */
  x87InstructionSelector: 1056,
  x87DataSelector: 1060,
  /** i32 */
  mxcsr: 1064,
  cr0: 1088,
  cr2: 1096,
  cr3: 1104,
  cr4: 1112,
  cr8: 1120,
  efer: 1128,
  /** DR0..DR7, i64 each. */
  dr: 1136,
  gdtrBase: 1200,
  /** i32 */
  gdtrLimit: 1208,
  idtrBase: 1216,
  /** i32 */
  idtrLimit: 1224,
  /** 64 × i64: model-specific registers by the index that cpu/msr.ts gives them. */
  msr: 1280,
  /** 32 bytes: value of a memory access that took the slow path. */
  exchange: 1792,
  /** i32 and i64 words that helpers use to return more than one result. */
  helperResult: 1824,
  end: 2048
};
function segmentSlot(segment) {
  return State.segments + segment * SegmentSlot.size;
}
var Tlb = {
  base: 65536,
  entries: 4096,
  entrySize: 32,
  /** i64 tags: linear page | tlbContext. A tag that can match nothing is -1. */
  readTag: 0,
  writeTag: 8,
  /** i32: add to the low 32 bits of the linear address to get the place in WebAssembly memory. */
  addend: 24,
  /** i32: host-physical page number of the entry, for the invalidation by physical page. */
  physicalPage: 28
};
var JumpCache = { base: 196608, entries: 16384, entrySize: 16, linear: 0, context: 8, record: 12 };
var RecordArena = { base: 1048576, end: 67108864 };
var RAM_BASE = 67108864;
var Record = {
  size: 32,
  /** u16: number of the handler. */
  handler: 0,
  /** u8: bytes of the instruction. */
  length: 2,
  /** u8: instructions from this one to the end of the block, inclusive; 0 in the pseudo-record that ends a block. */
  remaining: 3,
  /** u16: offset in the page of the instruction's first byte (of the next instruction, for the pseudo-record). */
  offset: 4,
  /** u8: segment slot of the memory operand, divided by 8. */
  segment: 6,
  /** u8: shift that makes the address-size mask: 48, 32 or 0. */
  addressShift: 7,
  /** u8: base and index register slots divided by 8 (State.zero / 8 when absent; State.ripBase / 8 for RIP-relative). */
  base: 8,
  index: 9,
  /** u8: log2 of the scale. */
  scale: 10,
  /** u8 × 3: operand n, when a register: see operandRegister in decode. GPR: byte offset in the state; XMM, MM, ST, segment, CR, DR: its number. */
  register: 11,
  /** u8: prefix bits, see RecordFlags. */
  flags: 14,
  /** u8: shift that makes the mask of linear addresses: 32 outside 64-bit mode, 0 in it. */
  linearShift: 15,
  /** i32: displacement, sign-extended when used (RIP-relative: from the start of the page). Moffs64 keeps its address in `immediate`. */
  displacement: 16,
  /** i32: cached record of the taken target, 0 = not known. */
  link: 20,
  /** i64: immediate, sign-extended to the operand size as the instruction has it; relative branches: the displacement from the next instruction. */
  immediate: 24
};
var RecordFlags = { rep: 1, repne: 2, lock: 4, operandSize16: 8, addressSizeOverride: 16 };

// emulator/cpu/register-bits.ts
var Eflags = {
  CF: 1 << 0,
  fixed: 1 << 1,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  OF: 1 << 11,
  IOPL: 3 << 12,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
  /** CF, PF, AF, ZF, SF and OF. */
  arithmetic: 2261,
  /** All that exist and are not arithmetic. */
  rest: 4159232
};
var Cr0 = {
  PE: 1 << 0,
  MP: 1 << 1,
  EM: 1 << 2,
  TS: 1 << 3,
  ET: 1 << 4,
  NE: 1 << 5,
  WP: 1 << 16,
  AM: 1 << 18,
  NW: 1 << 29,
  CD: 1 << 30,
  PG: 1 << 31
};
var Cr4 = {
  VME: 1 << 0,
  PVI: 1 << 1,
  TSD: 1 << 2,
  DE: 1 << 3,
  PSE: 1 << 4,
  PAE: 1 << 5,
  MCE: 1 << 6,
  PGE: 1 << 7,
  PCE: 1 << 8,
  OSFXSR: 1 << 9,
  OSXMMEXCPT: 1 << 10,
  FSGSBASE: 1 << 16,
  SMEP: 1 << 20,
  SMAP: 1 << 21
};
var Efer = { SCE: 1 << 0, LME: 1 << 8, LMA: 1 << 10, NXE: 1 << 11 };
var Access = {
  /** Of data segments: writable; of code segments: readable. */
  writable: 1 << 1,
  readable: 1 << 1,
  /** Of data segments: expand-down; of code segments: conforming. */
  expandDown: 1 << 2,
  conforming: 1 << 2,
  code: 1 << 3,
  accessed: 1 << 0,
  /** Code or data, not a system segment. */
  S: 1 << 4,
  dplShift: 5,
  P: 1 << 7,
  AVL: 1 << 12,
  L: 1 << 13,
  DB: 1 << 14,
  G: 1 << 15,
  unusable: 1 << 16
};

// emulator/cpu/processor-state.ts
var Internal = {
  /** Four PDPTE registers of PAE paging (SDM Vol. 3A §4.4.1). */
  pdpte: State.msr + 60 * 8,
  /** Added to the injected time stamp: what WRMSR to IA32_TIME_STAMP_COUNTER changed. */
  timestampOffset: State.msr + 59 * 8,
  /** While fewer instructions than this have retired, interrupts wait (STI, MOV SS, POP SS). */
  shadowBoundary: State.msr + 58 * 8,
  /** EFLAGS.RF counts only while no more instructions than this have retired. */
  resumeFlagBoundary: State.msr + 57 * 8,
  /** i32 × 2: NMIs are blocked until IRET; an NMI is pending. */
  nmiBlocked: State.msr + 56 * 8,
  nmiPending: State.msr + 56 * 8 + 4,
  /** i32 × 2: Activity; DR6 bits of a debug trap that is due after the current instruction. */
  activity: State.msr + 55 * 8,
  pendingDebug: State.msr + 55 * 8 + 4,
  /** While fewer instructions than this have retired, debug traps wait (MOV SS, POP SS). */
  debugShadowBoundary: State.msr + 54 * 8
};
var MSR_SLOTS = 54;
var Activity = { active: 0, halted: 1, shutdown: 2 };
var PROCESSOR_SIGNATURE = 1787;
var REAL_MODE_ACCESS = 147;
var ProcessorState = class {
  constructor(physical, tlb) {
    this.physical = physical;
    this.tlb = tlb;
    this.i32 = physical.i32;
    this.i64 = physical.i64;
    this.u8 = physical.u8;
    this.view = physical.view;
  }
  physical;
  tlb;
  i32;
  i64;
  u8;
  view;
  /** Called when the mode, in the sense of ModeName, has changed. */
  onModeChange = () => {
  };
  /** Derived from the state in updateMode(). */
  mode = "real";
  alignmentWasChecked = false;
  /** The state after power-on or reset (SDM Vol. 3A Table 9-1); model-specific registers are reset by their table. */
  reset() {
    this.u8.fill(0, 0, State.end);
    this.flagsRest = 0;
    this.i32[State.flagsResult >> 2] = 1;
    for (let segment = 0; segment < 8; segment++)
      this.setSegment(segment, 0, REAL_MODE_ACCESS, 0, 0, 65535);
    this.setSegment(Segment.cs, 61440, REAL_MODE_ACCESS, 4294901760 | 0, 0, 65535);
    this.setSegment(Segment.ldtr, 0, 130, 0, 0, 65535);
    this.setSegment(Segment.tr, 0, 139, 0, 0, 65535);
    this.rip = 0xfff0n;
    this.cr0 = 1610612752;
    this.i32[State.gpr + 2 * 8 >> 2] = PROCESSOR_SIGNATURE;
    this.i64[State.dr + 6 * 8 >> 3] = 0xffff0ff0n;
    this.i64[State.dr + 7 * 8 >> 3] = 0x400n;
    this.i32[State.gdtrLimit >> 2] = 65535;
    this.i32[State.idtrLimit >> 2] = 65535;
    this.i32[State.x87Control >> 2] = 64;
    this.i32[State.x87Tag >> 2] = 255;
    this.i32[State.mxcsr >> 2] = 8064;
    this.mode = "real";
    this.tlb.flush();
    this.updateMode();
  }
  // General registers, by number in encoding order.
  gpr32(register) {
    return this.i32[State.gpr + register * 8 >> 2];
  }
  /** Writes a 32-bit register and clears the upper half (SDM Vol. 1 §3.4.1.1). */
  setGpr32(register, value) {
    this.i32[State.gpr + register * 8 >> 2] = value;
    this.i32[(State.gpr + register * 8 >> 2) + 1] = 0;
  }
  gpr64(register) {
    return this.i64[State.gpr + register * 8 >> 3];
  }
  setGpr64(register, value) {
    this.i64[State.gpr + register * 8 >> 3] = value;
  }
  /** RIP as an unsigned 64-bit number. */
  get rip() {
    return BigInt.asUintN(64, this.i64[State.rip >> 3]);
  }
  set rip(value) {
    this.i64[State.rip >> 3] = value;
  }
  /** The low half of RIP, unsigned. */
  get eip() {
    return this.i32[State.rip >> 2] >>> 0;
  }
  setRip(low2, high2) {
    this.i32[State.rip >> 2] = low2;
    this.i32[(State.rip >> 2) + 1] = high2;
  }
  // Control registers: low halves, signed.
  get cr0() {
    return this.i32[State.cr0 >> 2];
  }
  set cr0(value) {
    this.i32[State.cr0 >> 2] = value;
  }
  get cr4() {
    return this.i32[State.cr4 >> 2];
  }
  set cr4(value) {
    this.i32[State.cr4 >> 2] = value;
  }
  get efer() {
    return this.i32[State.efer >> 2];
  }
  set efer(value) {
    this.i32[State.efer >> 2] = value;
  }
  get cpl() {
    return this.i32[State.cpl >> 2];
  }
  set cpl(value) {
    this.i32[State.cpl >> 2] = value;
  }
  get flagsRest() {
    return this.i32[State.flagsRest >> 2];
  }
  set flagsRest(value) {
    this.i32[State.flagsRest >> 2] = value;
    this.i32[State.interruptsEnabled >> 2] = value >> 9 & 1;
  }
  /** A word of `Internal` as a Number: counts below 2^53. */
  internal(at) {
    return Number(this.i64[at >> 3]);
  }
  setInternal(at, value) {
    this.i64[at >> 3] = BigInt(value);
  }
  get iopl() {
    return this.i32[State.flagsRest >> 2] >> 12 & 3;
  }
  /** CR0.PE. */
  get protectedMode() {
    return (this.cr0 & Cr0.PE) !== 0;
  }
  get virtual8086() {
    return (this.flagsRest & Eflags.VM) !== 0;
  }
  /** EFER.LMA: 64-bit or compatibility mode. */
  get longMode() {
    return (this.efer & Efer.LMA) !== 0;
  }
  /** 64-bit mode: EFER.LMA and CS.L. */
  get mode64() {
    return this.i32[State.codeSize >> 2] === 3;
  }
  /** Alignment checks are on: CR0.AM, EFLAGS.AC, CPL 3 (SDM Vol. 3A §6.15, Interrupt 17). */
  get alignmentChecked() {
    return this.cpl === 3 && (this.flagsRest & Eflags.AC) !== 0 && (this.cr0 & Cr0.AM) !== 0;
  }
  get modeName() {
    if (!this.protectedMode) return "real";
    if (this.virtual8086) return "virtual-8086";
    return this.mode64 ? "64-bit" : this.longMode ? "compatibility" : "protected";
  }
  // Segment registers.
  selector(segment) {
    return this.i32[segmentSlot(segment) + SegmentSlot.selector >> 2];
  }
  access(segment) {
    return this.i32[segmentSlot(segment) + SegmentSlot.access >> 2];
  }
  /** The limit in bytes, unsigned. */
  limit(segment) {
    return this.i32[segmentSlot(segment) + SegmentSlot.limit >> 2] >>> 0;
  }
  baseLow(segment) {
    return this.i32[segmentSlot(segment) + SegmentSlot.base >> 2];
  }
  baseHigh(segment) {
    return this.i32[(segmentSlot(segment) + SegmentSlot.base >> 2) + 1];
  }
  base(segment) {
    return BigInt.asUintN(64, this.i64[segmentSlot(segment) + SegmentSlot.base >> 3]);
  }
  /** Loads selector and hidden part. The caller runs updateMode() when CS or SS may have changed a mode word. */
  setSegment(segment, selector, access, baseLow, baseHigh, limit) {
    const at = segmentSlot(segment) >> 2;
    this.i32[at + (SegmentSlot.selector >> 2)] = selector;
    this.i32[at + (SegmentSlot.access >> 2)] = access;
    this.i32[at + (SegmentSlot.base >> 2)] = baseLow;
    this.i32[at + (SegmentSlot.base >> 2) + 1] = baseHigh;
    this.i32[at + (SegmentSlot.limit >> 2)] = limit;
    this.updateSegment(segment);
  }
  /** Changes only the selector. */
  setSelector(segment, selector) {
    this.i32[segmentSlot(segment) + SegmentSlot.selector >> 2] = selector;
  }
  /** Changes only the base of a segment (IA32_FS_BASE, SWAPGS, ...). */
  setSegmentBase(segment, base) {
    this.i64[segmentSlot(segment) + SegmentSlot.base >> 3] = base;
    this.updateSegment(segment);
  }
  /** The hidden part of a null selector: unusable, limit and base kept from before as the processor does (SDM Vol. 3A §5.4.1). */
  setNullSegment(segment, selector) {
    const at = segmentSlot(segment) >> 2;
    this.i32[at + (SegmentSlot.selector >> 2)] = selector;
    this.i32[at + (SegmentSlot.access >> 2)] = this.i32[at + (SegmentSlot.access >> 2)] | Access.unusable;
    this.i32[at + (SegmentSlot.base >> 2)] = 0;
    this.i32[at + (SegmentSlot.base >> 2) + 1] = 0;
    this.updateSegment(segment);
  }
  /** Derives effectiveBase, readBound and writeBound of a slot from its hidden part and the mode. */
  updateSegment(segment) {
    const { i32: i329 } = this;
    const at = segmentSlot(segment) >> 2;
    let boundLow = 0;
    let boundHigh = 0;
    let readable = false;
    let writable = false;
    if (i329[State.codeSize >> 2] === 3) {
      const based = segment === Segment.fs || segment === Segment.gs;
      i329[at] = based ? i329[at + (SegmentSlot.base >> 2)] : 0;
      i329[at + 1] = based ? i329[at + (SegmentSlot.base >> 2) + 1] : 0;
      boundLow = boundHigh = -1;
      readable = writable = true;
    } else {
      i329[at] = i329[at + (SegmentSlot.base >> 2)];
      i329[at + 1] = 0;
      const access = i329[at + (SegmentSlot.access >> 2)];
      const limit = i329[at + (SegmentSlot.limit >> 2)];
      const usable = (access & (Access.unusable | Access.P | Access.S)) === (Access.P | Access.S);
      const code = (access & Access.code) !== 0;
      if (usable && (code || (access & Access.expandDown) === 0)) {
        readable = !code || (access & Access.readable) !== 0;
        writable = !code && (access & Access.writable) !== 0;
      }
      boundLow = limit + 1 | 0;
      boundHigh = limit === -1 ? 1 : 0;
    }
    i329[at + 2] = readable ? boundLow : 0;
    i329[at + 3] = readable ? boundHigh : 0;
    i329[at + 4] = writable ? boundLow : 0;
    i329[at + 5] = writable ? boundHigh : 0;
  }
  /** To be called after the state bytes were replaced as a whole (a snapshot was restored). */
  restored() {
    this.tlb.flush();
    this.updateMode();
  }
  /** Sets every word that follows from CS, SS, CR0, CR4, EFER, EFLAGS.VM, EFLAGS.AC and CPL, after any of them has changed. */
  updateMode() {
    const { i32: i329 } = this;
    const was = i329[State.codeSize >> 2];
    const access = this.access(Segment.cs);
    const codeSize = this.longMode && (access & Access.L) !== 0 ? 3 : (access & Access.DB) !== 0 ? 2 : 1;
    i329[State.codeSize >> 2] = codeSize;
    if (was === 3 !== (codeSize === 3))
      for (let segment = 0; segment < 8; segment++) this.updateSegment(segment);
    i329[State.stackMaskShift >> 2] = codeSize === 3 ? 0 : (this.access(Segment.ss) & Access.DB) !== 0 ? 32 : 48;
    const taskSwitched = this.cr0 & (Cr0.EM | Cr0.TS);
    i329[State.x87Trap >> 2] = taskSwitched ? 1 : 0;
    i329[State.sseTrap >> 2] = taskSwitched || (this.cr4 & Cr4.OSFXSR) === 0 ? 1 : 0;
    const checked = this.alignmentChecked;
    if (checked && !this.alignmentWasChecked) this.tlb.flush();
    this.alignmentWasChecked = checked;
    this.tlb.updateContext();
    const mode = this.modeName;
    if (mode !== this.mode) {
      const previous = this.mode;
      this.mode = mode;
      this.onModeChange(mode, previous);
    }
  }
};

// emulator/cpu/page-walk-view.ts
var LEVEL_NAMES = { 1: "PTE", 2: "PDE", 3: "PDPTE", 4: "PML4E" };
var P = 1;
var W = 2;
var U = 4;
var A = 32;
var D = 64;
var PS = 128;
var G = 256;
var GIB4 = 4294967296;
var ENTRY_BUDGET = 1 << 24;
function physicalTables(physical) {
  return {
    page(address) {
      if (!physical.isBacked(address)) return void 0;
      const first = (RAM_BASE + address) / 4;
      return physical.i32.subarray(first, first + 1024);
    }
  };
}
function inspectedTables(state) {
  const { cr0, cr4, efer } = state;
  const paging = !(cr0 & Cr0.PG) ? "none" : !(cr4 & Cr4.PAE) ? "32-bit" : efer & Efer.LMA ? "4-level" : "PAE";
  const cr3Low = state.i32[State.cr3 >> 2];
  const cr3High = state.i32[(State.cr3 >> 2) + 1];
  return {
    paging,
    root: paging === "PAE" ? (cr3Low & ~31) >>> 0 : ((cr3Low & ~4095) >>> 0) + (paging === "4-level" ? (cr3High & 255) * GIB4 : 0),
    pageSizeExtension: (cr4 & Cr4.PSE) !== 0,
    executeDisable: (efer & Efer.NXE) !== 0,
    writeProtect: (cr0 & Cr0.WP) !== 0,
    supervisorExecutionPrevention: (cr4 & Cr4.SMEP) !== 0,
    ...paging === "PAE" ? { pdptes: state.i32.slice(Internal.pdpte >> 2, (Internal.pdpte >> 2) + 8) } : {}
  };
}
function coverage(tables, level) {
  if (tables.paging === "32-bit") return level === 1 ? 12 : 22;
  return 12 + 9 * (level - 1);
}
function topLevel(tables) {
  return tables.paging === "32-bit" ? 2 : tables.paging === "PAE" ? 3 : 4;
}
function isPdpteOfPae(tables, level) {
  return tables.paging === "PAE" && level === 3;
}
function isLeaf(tables, level, low2) {
  if (level === 1) return true;
  if ((low2 & PS) === 0 || level === 4 || isPdpteOfPae(tables, level)) return false;
  return tables.paging !== "32-bit" || tables.pageSizeExtension;
}
function reservedBits(tables, level, low2, high2) {
  if (tables.paging === "32-bit") {
    if (isLeaf(tables, level, low2) && level === 2 && low2 & 1 << 21) return "bit 21 is reserved in a 4-MByte page";
    return void 0;
  }
  if (isPdpteOfPae(tables, level))
    return low2 & 486 || high2 & 4294967040 ? "a reserved bit is set in the PDPTE" : void 0;
  if (high2 < 0 && !tables.executeDisable) return "bit 63 is reserved while EFER.NXE is 0";
  if (high2 & (tables.paging === "PAE" ? 2147483392 : 1048320)) return "an address bit above MAXPHYADDR is set";
  if (level === 4 && low2 & PS) return "bit 7 is reserved in a PML4E";
  if (isLeaf(tables, level, low2) && (level === 3 && low2 & 1073733632 || level === 2 && low2 & 2088960))
    return "an address bit below the page size is set";
  return void 0;
}
function targetOf(tables, level, low2, high2) {
  if (tables.paging === "32-bit") {
    if (level === 2 && isLeaf(tables, level, low2)) return ((low2 & 4290772992) >>> 0) + (low2 >>> 13 & 255) * GIB4;
    return (low2 & ~4095) >>> 0;
  }
  const mask2 = isLeaf(tables, level, low2) ? 2 ** coverage(tables, level) - 1 : 4095;
  return ((low2 & ~mask2) >>> 0) + (high2 & 255) * GIB4;
}
function flagNames(tables, level, low2, high2) {
  const names2 = [];
  const leaf = isLeaf(tables, level, low2);
  const add4 = (bit2, name) => {
    if (low2 & bit2) names2.push(name);
  };
  add4(P, "P");
  if (!isPdpteOfPae(tables, level)) {
    add4(W, "W");
    add4(U, "U");
  }
  add4(8, "PWT");
  add4(16, "PCD");
  if (!isPdpteOfPae(tables, level)) {
    add4(A, "A");
    if (leaf) add4(D, "D");
    if (level > 1 && leaf) add4(PS, "PS");
    if (leaf) add4(G, "G");
  }
  if (tables.paging !== "32-bit" && high2 < 0 && tables.executeDisable) names2.push("NX");
  return names2;
}
function readEntry(memory, tables, level, table, index2) {
  if (isPdpteOfPae(tables, level) && tables.pdptes) return [tables.pdptes[index2 * 2], tables.pdptes[index2 * 2 + 1]];
  const start = table - table % 4096;
  const page = memory.page(start);
  if (!page) return void 0;
  const word = (table - start) / 4;
  if (tables.paging === "32-bit") return [page[word + index2], 0];
  return [page[word + index2 * 2], page[word + index2 * 2 + 1]];
}
function inspectWalk(memory, tables, linear, access = {}) {
  if (tables.paging === "none") {
    const address = Number(BigInt.asUintN(32, linear));
    return { steps: [], result: { address, pageSize: 4096, writable: true, user: true, executable: true } };
  }
  const steps = [];
  let table = tables.root;
  let writable = true;
  let user = true;
  let executable = true;
  for (let level = topLevel(tables); ; level--) {
    const shift3 = coverage(tables, level);
    const indexBits = tables.paging === "32-bit" ? 10 : isPdpteOfPae(tables, level) ? 2 : 9;
    const index2 = Number(BigInt.asUintN(indexBits, linear >> BigInt(shift3)));
    const entryAddress = table + index2 * (tables.paging === "32-bit" ? 4 : 8);
    const name = LEVEL_NAMES[level];
    const found = readEntry(memory, tables, level, table, index2);
    if (!found) {
      steps.push({ level: name, index: index2, entryAddress, entry: 0n, flags: [], failure: "the table is not in memory" });
      return { steps };
    }
    const [low2, high2] = found;
    const entry = BigInt(high2 >>> 0) << 32n | BigInt(low2 >>> 0);
    let failure;
    if ((low2 & P) === 0) failure = "not present";
    else failure = reservedBits(tables, level, low2, high2);
    if (!failure && !isPdpteOfPae(tables, level)) {
      const could = { writable, user, executable };
      writable &&= (low2 & W) !== 0;
      user &&= (low2 & U) !== 0;
      executable &&= high2 >= 0 || tables.paging === "32-bit";
      if (access.user && could.user && !user) failure = "supervisor page, user access";
      else if (access.write && could.writable && !writable && (access.user || tables.writeProtect))
        failure = "read-only page, write access";
      else if (access.execute && could.executable && !executable) failure = "execute-disabled page, fetch";
    }
    const leaf = isLeaf(tables, level, low2);
    if (!failure && leaf && access.execute && !access.user && user && tables.supervisorExecutionPrevention)
      failure = "user page, supervisor fetch (SMEP)";
    const flags = flagNames(tables, level, low2, high2);
    steps.push({ level: name, index: index2, entryAddress, entry, flags, ...failure ? { failure } : {} });
    if (failure) return { steps };
    const target = targetOf(tables, level, low2, high2);
    if (leaf) {
      const pageSize = 2 ** shift3;
      const address = target + Number(BigInt.asUintN(shift3, linear));
      return { steps, result: { address, pageSize, writable, user, executable } };
    }
    table = target;
  }
}
function translateInspected(physical, tables, linear) {
  if (tables.paging === "4-level" && BigInt.asIntN(48, linear) !== BigInt.asIntN(64, linear)) return void 0;
  return inspectWalk(physicalTables(physical), tables, linear).result?.address;
}
function inspectMappings(memory, tables, from, limit) {
  const mappings = [];
  if (tables.paging === "none") {
    const whole = { start: 0n, end: 1n << 32n, target: 0, pageSize: 4096, writable: true, user: true };
    const flags = { executable: true, global: false, accessed: false, dirty: false };
    return { mappings: limit > 0 && from < 1n << 32n ? [{ ...whole, ...flags }] : [] };
  }
  const bits2 = tables.paging === "4-level" ? 48 : 32;
  const fromPage = Number(BigInt.asUintN(bits2, from) >> 12n);
  const linearOf = (page) => {
    const linear = BigInt(page) << 12n;
    return bits2 === 48 && page >= 2 ** 35 ? linear | 0xffff000000000000n : linear;
  };
  let budget = ENTRY_BUDGET;
  let next;
  let run;
  const finish = () => {
    if (!run) return;
    mappings.push({
      start: linearOf(run.start),
      end: run.start + run.pages === 2 ** (bits2 - 12) && bits2 === 48 ? 1n << 64n : linearOf(run.start + run.pages),
      target: run.target,
      pageSize: run.size * 4096,
      writable: (run.key & W) !== 0,
      user: (run.key & U) !== 0,
      executable: (run.key & 1) !== 0,
      global: (run.key & G) !== 0,
      accessed: (run.key & A) !== 0,
      dirty: (run.key & D) !== 0
    });
    run = void 0;
  };
  const visit = (table, level, base, rights) => {
    const pages = 2 ** (coverage(tables, level) - 12);
    const wide = tables.paging !== "32-bit";
    const pdpt = isPdpteOfPae(tables, level);
    const tableStart = table - table % 4096;
    const words2 = pdpt && tables.pdptes ? tables.pdptes : memory.page(tableStart);
    if (!words2) return true;
    const firstWord = words2 === tables.pdptes ? 0 : (table - tableStart) / 4;
    const count = pdpt ? 4 : wide ? 512 : 1024;
    const first = fromPage > base ? Math.min(count, Math.floor((fromPage - base) / pages)) : 0;
    for (let index2 = first; index2 < count; index2++) {
      const low2 = words2[firstWord + (wide ? index2 * 2 : index2)];
      const page = base + index2 * pages;
      if (--budget < 0) {
        next = page;
        return false;
      }
      if ((low2 & P) === 0) continue;
      const high2 = wide ? words2[firstWord + index2 * 2 + 1] : 0;
      if (reservedBits(tables, level, low2, high2)) continue;
      let here = rights;
      if (!pdpt) here &= low2 & (W | U) | (high2 < 0 ? 0 : 1);
      const target = targetOf(tables, level, low2, high2);
      if (!isLeaf(tables, level, low2)) {
        if (!visit(target, level - 1, page, here)) return false;
        continue;
      }
      const key = here | low2 & (A | D | G);
      if (run && run.key === key && run.size === pages && run.start + run.pages === page && run.target + run.pages * 4096 === target && page !== 2 ** 35) {
        run.pages += pages;
        continue;
      }
      finish();
      if (mappings.length >= limit) {
        next = page;
        return false;
      }
      run = { start: page, pages, target, size: pages, key };
    }
    return true;
  };
  visit(tables.root, topLevel(tables), 0, W | U | 1);
  finish();
  return next === void 0 ? { mappings } : { mappings, next: linearOf(next) };
}

// emulator/engine/fault.ts
var Vector = {
  divideError: 0,
  debug: 1,
  nmi: 2,
  breakpoint: 3,
  overflow: 4,
  boundRange: 5,
  invalidOpcode: 6,
  deviceNotAvailable: 7,
  doubleFault: 8,
  invalidTss: 10,
  segmentNotPresent: 11,
  stackFault: 12,
  generalProtection: 13,
  pageFault: 14,
  x87FloatingPoint: 16,
  alignmentCheck: 17,
  machineCheck: 18,
  simdFloatingPoint: 19
};
var Fault = class {
  constructor(vector2, errorCode = void 0) {
    this.vector = vector2;
    this.errorCode = errorCode;
  }
  vector;
  errorCode;
};

// emulator/machine/enter-boot-state.ts
var NUMBERS = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };
var FLAT_CODE = 49307;
var FLAT_DATA = 49299;
function enterBootState(processor, boot) {
  const { state } = processor.core;
  processor.reset();
  for (let register = 0; register < 8; register++) state.setGpr32(register, 0);
  for (const [name, value] of Object.entries(boot.registers))
    state.setGpr32(NUMBERS[name], value);
  state.cr0 = Cr0.PE | Cr0.ET;
  const data = [Segment.es, Segment.ss, Segment.ds, Segment.fs, Segment.gs];
  for (const segment of data) state.setSegment(segment, boot.dataSelector, FLAT_DATA, 0, 0, 4294967295);
  state.setSegment(Segment.cs, boot.codeSelector, FLAT_CODE, 0, 0, 4294967295);
  if (boot.gdt) {
    state.i32[State.gdtrBase >> 2] = boot.gdt.base;
    state.i32[State.gdtrLimit >> 2] = boot.gdt.limit;
  } else state.i32[State.gdtrLimit >> 2] = 0;
  state.rip = BigInt(boot.instructionPointer);
  state.updateMode();
}

// emulator/machine/exception-names.ts
var NAMES = {
  0: "#DE divide error",
  1: "#DB debug exception",
  2: "NMI",
  3: "#BP breakpoint",
  4: "#OF overflow",
  5: "#BR bound range exceeded",
  6: "#UD invalid opcode",
  7: "#NM device not available",
  8: "#DF double fault",
  10: "#TS invalid TSS",
  11: "#NP segment not present",
  12: "#SS stack fault",
  13: "#GP general protection",
  14: "#PF page fault",
  16: "#MF x87 floating-point error",
  17: "#AC alignment check",
  18: "#MC machine check",
  19: "#XM SIMD floating-point exception"
};
function describePageFault(errorCode) {
  const access = errorCode & 16 ? "instruction fetch from" : errorCode & 2 ? "write to" : "read of";
  const page = errorCode & 8 ? "a page with a reserved bit set" : errorCode & 1 ? "a protected page" : "a page that is not present";
  return `${access} ${page}, by ${errorCode & 4 ? "user code" : "the supervisor"}`;
}
function describeException(vector2, errorCode, source) {
  if (source === "external") return `Interrupt ${vector2}`;
  if (source === "software") return `INT 0x${vector2.toString(16)}`;
  const name = NAMES[vector2] ?? `Exception ${vector2}`;
  if (vector2 === 14 && errorCode !== void 0) return `${name} (${describePageFault(errorCode)})`;
  return errorCode === void 0 ? name : `${name} (error code 0x${errorCode.toString(16)})`;
}

// emulator/machine/hash.ts
var ROUND = new Uint32Array(64);
var INITIAL = new Uint32Array(8);
{
  const fraction = (root) => Math.floor((root - Math.floor(root)) * 4294967296);
  let found = 0;
  for (let candidate = 2; found < 64; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) prime = false;
    if (!prime) continue;
    ROUND[found] = fraction(Math.cbrt(candidate));
    if (found < 8) INITIAL[found] = fraction(Math.sqrt(candidate));
    found++;
  }
}
function compress(state, block, at, words2) {
  for (let index2 = 0; index2 < 16; index2++) words2[index2] = block.getUint32(at + index2 * 4, false);
  for (let index2 = 16; index2 < 64; index2++) {
    const a2 = words2[index2 - 15];
    const b2 = words2[index2 - 2];
    const low2 = (a2 >>> 7 | a2 << 25) ^ (a2 >>> 18 | a2 << 14) ^ a2 >>> 3;
    const high2 = (b2 >>> 17 | b2 << 15) ^ (b2 >>> 19 | b2 << 13) ^ b2 >>> 10;
    words2[index2] = words2[index2 - 16] + low2 + words2[index2 - 7] + high2;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let index2 = 0; index2 < 64; index2++) {
    const sum1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
    const first = h + sum1 + (e & f ^ ~e & g) + ROUND[index2] + words2[index2] | 0;
    const sum0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
    const second2 = sum0 + (a & b ^ a & c ^ b & c) | 0;
    h = g;
    g = f;
    f = e;
    e = d + first | 0;
    d = c;
    c = b;
    b = a;
    a = first + second2 | 0;
  }
  const parts = [a, b, c, d, e, f, g, h];
  for (let index2 = 0; index2 < 8; index2++) state[index2] = state[index2] + parts[index2];
}
var hostHash;
function sha256(bytes) {
  return hostHash ? hostHash(bytes) : portableSha256(bytes);
}
function portableSha256(bytes) {
  const state = INITIAL.slice();
  const words2 = new Uint32Array(64);
  const whole = bytes.length - bytes.length % 64;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < whole; at += 64) compress(state, view, at, words2);
  const rest = bytes.subarray(whole);
  const tail = new Uint8Array(rest.length < 56 ? 64 : 128);
  tail.set(rest);
  tail[rest.length] = 128;
  const tailView = new DataView(tail.buffer);
  tailView.setBigUint64(tail.length - 8, BigInt(bytes.length) * 8n, false);
  for (let at = 0; at < tail.length; at += 64) compress(state, tailView, at, words2);
  return [...state].map((word) => word.toString(16).padStart(8, "0")).join("");
}

// emulator/engine/helper.ts
var Outcome = {
  /** Goes on with the next record of the block. */
  next: 0,
  /** The helper has set State.rip; the instruction has retired; look up the block there. */
  dispatch: 1,
  /** As dispatch, but generated code returns to the run loop first (an interrupt may be due, the machine stops, ...). */
  exit: 2
};
var AccessKind = {
  sizeMask: 255,
  segmentShift: 8,
  segmentMask: 3840,
  /** The read belongs to a read-modify-write: the page has to be writable too, and a fault says "write". */
  forWrite: 4096,
  /** Address is linear already: no segment is applied. */
  linear: 8192,
  /** The access is a supervisor access whatever CPL is (descriptor tables, TSS). */
  supervisor: 16384
};

// emulator/cpu/model-specific-registers.ts
var canonical = (value) => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;
var readOnly = () => false;
var MEMORY_TYPES = [0n, 1n, 4n, 5n, 6n];
function typesAccepted(allowed) {
  return (value) => {
    for (let field = 0n; field < 8n; field++) if (!allowed.includes(value >> field * 8n & 0xffn)) return false;
    return true;
  };
}
var validPat = typesAccepted([...MEMORY_TYPES, 7n]);
var validFixedRange = typesAccepted(MEMORY_TYPES);
var ADDRESS_FIELD = 0xfffffff000n;
var STORED = [
  { name: "IA32_PLATFORM_ID", address: 23, reset: 0n, accepts: readOnly },
  // Enabled, bootstrap processor, at the architectural address (SDM Vol. 3A §10.4.4).
  {
    name: "IA32_APIC_BASE",
    address: 27,
    reset: 0xfee00900n,
    accepts: (value) => (value & ~(ADDRESS_FIELD | 0x900n)) === 0n
  },
  { name: "IA32_BIOS_SIGN_ID", address: 139, reset: 0n },
  // Eight variable ranges, fixed ranges, write combining.
  { name: "IA32_MTRRCAP", address: 254, reset: 0x508n, accepts: readOnly },
  { name: "IA32_SYSENTER_CS", address: 372, reset: 0n },
  { name: "IA32_SYSENTER_ESP", address: 373, reset: 0n, accepts: canonical },
  { name: "IA32_SYSENTER_EIP", address: 374, reset: 0n, accepts: canonical },
  // No machine-check banks.
  { name: "IA32_MCG_CAP", address: 377, reset: 0n, accepts: readOnly },
  { name: "IA32_MCG_STATUS", address: 378, reset: 0n, accepts: (value) => value < 8n },
  // Fast strings; branch trace storage and PEBS unavailable. Only fast strings can be changed.
  { name: "IA32_MISC_ENABLE", address: 416, reset: 0x1801n, fixed: ~1n },
  // Branch tracing is not there: only 0 can be written.
  { name: "IA32_DEBUGCTL", address: 473, reset: 0n, accepts: (value) => value === 0n },
  { name: "IA32_PAT", address: 631, reset: 0x0007040600070406n, accepts: validPat },
  {
    name: "IA32_MTRR_DEF_TYPE",
    address: 767,
    reset: 0n,
    accepts: (value) => (value & ~0xcffn) === 0n && MEMORY_TYPES.includes(value & 0xffn)
  },
  ...Array.from({ length: 16 }, (_, index2) => {
    const mask2 = index2 % 2 === 1;
    return {
      name: `IA32_MTRR_PHYS${mask2 ? "MASK" : "BASE"}${index2 >> 1}`,
      address: 512 + index2,
      reset: 0n,
      accepts: mask2 ? (value) => (value & ~(ADDRESS_FIELD | 0x800n)) === 0n : (value) => (value & ~(ADDRESS_FIELD | 0xffn)) === 0n && MEMORY_TYPES.includes(value & 0xffn)
    };
  }),
  { name: "IA32_MTRR_FIX64K_00000", address: 592, reset: 0n, accepts: validFixedRange },
  { name: "IA32_MTRR_FIX16K_80000", address: 600, reset: 0n, accepts: validFixedRange },
  { name: "IA32_MTRR_FIX16K_A0000", address: 601, reset: 0n, accepts: validFixedRange },
  ...Array.from({ length: 8 }, (_, index2) => {
    const start = (786432 + index2 * 32768).toString(16).toUpperCase();
    return { name: `IA32_MTRR_FIX4K_${start}`, address: 616 + index2, reset: 0n, accepts: validFixedRange };
  }),
  { name: "IA32_STAR", address: 3221225601, reset: 0n },
  { name: "IA32_LSTAR", address: 3221225602, reset: 0n, accepts: canonical },
  { name: "IA32_CSTAR", address: 3221225603, reset: 0n, accepts: canonical },
  { name: "IA32_FMASK", address: 3221225604, reset: 0n, accepts: (value) => value <= 0xffffffffn },
  { name: "IA32_KERNEL_GS_BASE", address: 3221225730, reset: 0n, accepts: canonical },
  { name: "IA32_TSC_AUX", address: 3221225731, reset: 0n, accepts: (value) => value <= 0xffffffffn }
];
function slotOf(name) {
  const index2 = STORED.findIndex((row) => row.name === name);
  if (index2 < 0 || index2 >= MSR_SLOTS) throw new RangeError(`${name} has no slot in the processor's state.`);
  return State.msr + index2 * 8;
}
var kernelGsBaseSlot = slotOf("IA32_KERNEL_GS_BASE");
var apicBaseSlot = slotOf("IA32_APIC_BASE");
var SystemCallMsr = {
  sysenterCs: slotOf("IA32_SYSENTER_CS"),
  sysenterEsp: slotOf("IA32_SYSENTER_ESP"),
  sysenterEip: slotOf("IA32_SYSENTER_EIP"),
  star: slotOf("IA32_STAR"),
  lstar: slotOf("IA32_LSTAR"),
  fmask: slotOf("IA32_FMASK")
};
var tscAuxSlot = slotOf("IA32_TSC_AUX");
var ModelSpecificRegisters = class {
  /** @param timestamp ticks of the time-stamp counter since power-on, an integer below 2^53. */
  constructor(core, timestamp) {
    this.core = core;
    this.timestamp = timestamp;
    const { state } = core;
    STORED.forEach((row, index2) => {
      const slot = (State.msr >> 3) + index2;
      this.rows.set(row.address, {
        name: row.name,
        read: () => BigInt.asUintN(64, state.i64[slot]),
        write: (value) => {
          if (row.accepts && !row.accepts(value)) throw new Fault(Vector.generalProtection, 0);
          const fixed = row.fixed ?? 0n;
          state.i64[slot] = value & ~fixed | state.i64[slot] & fixed;
          if (row.address === 27) this.onApicBase(value);
        }
      });
    });
    this.rows.set(16, {
      name: "IA32_TIME_STAMP_COUNTER",
      read: () => BigInt.asUintN(64, BigInt(timestamp()) + state.i64[Internal.timestampOffset >> 3]),
      write: (value) => {
        state.i64[Internal.timestampOffset >> 3] = value - BigInt(timestamp());
      }
    });
    this.rows.set(3221225600, {
      name: "IA32_EFER",
      read: () => BigInt(state.efer >>> 0),
      write: (value) => this.writeEfer(value)
    });
    for (const [address, segment, name] of [
      [3221225728, Segment.fs, "IA32_FS_BASE"],
      [3221225729, Segment.gs, "IA32_GS_BASE"]
    ]) {
      this.rows.set(address, {
        name,
        read: () => state.base(segment),
        write: (value) => {
          if (!canonical(value)) throw new Fault(Vector.generalProtection, 0);
          state.setSegmentBase(segment, value);
        }
      });
    }
    this.helpers = this.instructions();
  }
  core;
  timestamp;
  rows = /* @__PURE__ */ new Map();
  /** Called after IA32_APIC_BASE was written. */
  onApicBase = () => {
  };
  helpers;
  /** Power-on values. */
  reset() {
    STORED.forEach((row, index2) => {
      this.core.state.i64[(State.msr >> 3) + index2] = row.reset;
    });
  }
  /** The value of an MSR; undefined when there is none at the address. */
  read(address) {
    return this.rows.get(address)?.read();
  }
  /** Writes as WRMSR does. @throws {Fault} #GP(0) for an unknown MSR or a value that it does not take. */
  write(address, value) {
    const row = this.rows.get(address);
    if (!row) throw new Fault(Vector.generalProtection, 0);
    row.write(value);
  }
  /** Every MSR with its value, by address. */
  list() {
    return [...this.rows].map(([address, row]) => ({ name: row.name, address, value: row.read() })).sort((a, b) => a.address - b.address);
  }
  /** SDM Vol. 3A §2.2.1: LMA is read-only, LME cannot change while paging is on, reserved bits fault. */
  writeEfer(value) {
    const { state, paging } = this.core;
    const known = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
    if (value & ~BigInt(known)) throw new Fault(Vector.generalProtection, 0);
    const efer = Number(value) & ~Efer.LMA | state.efer & Efer.LMA;
    if ((efer ^ state.efer) & Efer.LME && state.cr0 & Cr0.PG) throw new Fault(Vector.generalProtection, 0);
    state.efer = efer;
    paging.flush();
  }
  instructions() {
    const { state, operands } = this.core;
    const requireCpl0 = () => {
      if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
    };
    const readTime = () => {
      if (state.cpl !== 0 && state.cr4 & Cr4.TSD) throw new Fault(Vector.generalProtection, 0);
      const offset = state.i64[Internal.timestampOffset >> 3];
      if (offset === 0n) {
        const ticks = this.timestamp();
        state.setGpr32(RAX, ticks | 0);
        state.setGpr32(RDX, Math.floor(ticks / 4294967296));
      } else {
        const ticks = BigInt(this.timestamp()) + offset;
        state.setGpr64(RAX, ticks & 0xffffffffn);
        state.setGpr64(RDX, ticks >> 32n & 0xffffffffn);
      }
    };
    return {
      rdmsr: () => {
        requireCpl0();
        const value = this.read(state.gpr32(RCX) >>> 0);
        if (value === void 0) throw new Fault(Vector.generalProtection, 0);
        state.setGpr64(RAX, value & 0xffffffffn);
        state.setGpr64(RDX, value >> 32n);
        return Outcome.next;
      },
      wrmsr: (record) => {
        requireCpl0();
        const value = BigInt(state.gpr32(RDX) >>> 0) << 32n | BigInt(state.gpr32(RAX) >>> 0);
        this.write(state.gpr32(RCX) >>> 0, value);
        return operands.advance(record, this.core.leave());
      },
      rdtsc: () => {
        readTime();
        return Outcome.next;
      },
      rdtscp: () => {
        readTime();
        state.setGpr32(RCX, state.i32[tscAuxSlot >> 2]);
        return Outcome.next;
      },
      /** There are no performance counters: every index is out of range (SDM Vol. 2B, RDPMC). */
      rdpmc: () => {
        throw new Fault(Vector.generalProtection, 0);
      }
    };
  }
};
var RAX = 0;
var RCX = 1;
var RDX = 2;

// emulator/engine/physical-memory.ts
var PageKind = { unmapped: 0, ram: 1, rom: 2, mmio: 3 };
var PAGES_BELOW_4G = 1 << 20;
var WASM_PAGE = 65536;
var PhysicalMemory = class {
  /** @param ramBytes a multiple of 4096, at most 3 GiB. */
  constructor(ramBytes) {
    this.ramBytes = ramBytes;
    const pages = Math.ceil((RAM_BASE + ramBytes) / WASM_PAGE);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.u8 = new Uint8Array(this.memory.buffer);
    this.i32 = new Int32Array(this.memory.buffer);
    this.i64 = new BigInt64Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.kind.fill(PageKind.ram, 0, ramBytes / 4096);
  }
  ramBytes;
  memory;
  u8;
  i32;
  i64;
  view;
  /** PageKind of every page below 4 GiB. */
  kind = new Uint8Array(PAGES_BELOW_4G);
  /** Nonzero for pages that hold decoded code; the engine sets it, every writer must ask it. */
  hasCode = new Uint8Array(PAGES_BELOW_4G);
  bus;
  /** Called for a write into a page with `hasCode`, before the bytes change. */
  onCodeWrite = () => {
  };
  /** PageKind of the page with this number. */
  kindOf(page) {
    return page < PAGES_BELOW_4G ? this.kind[page] : PageKind.unmapped;
  }
  /** True when the address lies in RAM or ROM, so that RAM_BASE + address is its place in WebAssembly memory. */
  isBacked(address) {
    const kind = this.kindOf(Math.floor(address / 4096));
    return kind === PageKind.ram || kind === PageKind.rom;
  }
  /** Reads within one page, with the side effects that a device gives to it. */
  read(address, size) {
    if (this.isBacked(address)) {
      const at = RAM_BASE + address;
      return size === 1 ? this.u8[at] : size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
    }
    if (this.bus) return this.bus.read(address, size);
    return size === 1 ? 255 : size === 2 ? 65535 : 4294967295;
  }
  /** Writes within one page. A write to ROM is lost, as on the bus of a PC. */
  write(address, size, value) {
    const page = Math.floor(address / 4096);
    const kind = this.kindOf(page);
    if (kind === PageKind.ram) {
      if (this.hasCode[page]) this.onCodeWrite(address, size);
      const at = RAM_BASE + address;
      if (size === 1) this.u8[at] = value;
      else if (size === 2) this.view.setUint16(at, value, true);
      else this.view.setUint32(at, value, true);
    } else if (kind !== PageKind.rom) this.bus?.write(address, size, value);
  }
  /** Copies bytes out of RAM or ROM; undefined when any of them is not backed. Never touches a device. */
  peek(address, length) {
    for (let page = Math.floor(address / 4096); page * 4096 < address + length; page++) {
      const kind = this.kindOf(page);
      if (kind !== PageKind.ram && kind !== PageKind.rom) return void 0;
    }
    return this.u8.slice(RAM_BASE + address, RAM_BASE + address + length);
  }
  /** Stores bytes in RAM or ROM (a loader's or a debugger's write); false, and nothing changed, when any of them is not backed. */
  poke(address, bytes) {
    const first = Math.floor(address / 4096);
    for (let page = first; page * 4096 < address + bytes.length; page++) {
      const kind = this.kindOf(page);
      if (kind !== PageKind.ram && kind !== PageKind.rom) return false;
    }
    for (let page = first; page * 4096 < address + bytes.length; page++) {
      const start = Math.max(address, page * 4096);
      if (this.hasCode[page]) this.onCodeWrite(start, Math.min(address + bytes.length, (page + 1) * 4096) - start);
    }
    this.u8.set(bytes, RAM_BASE + address);
    return true;
  }
};

// emulator/cpu/paging.ts
var PageAccess = {
  read: 0,
  write: 1 << 1,
  user: 1 << 2,
  fetch: 1 << 4,
  /** An implicit supervisor access: descriptor tables, TSS (SDM Vol. 3A §4.6.1). */
  implicit: 1 << 8
};
var PRESENT = 1 << 0;
var WRITABLE = 1 << 1;
var USER = 1 << 2;
var ACCESSED = 1 << 5;
var DIRTY = 1 << 6;
var PAGE_SIZE = 1 << 7;
var RESERVED_ERROR = 1 << 3;
var PHYSICAL_ADDRESS_BITS = 40;
var ADDRESS_HIGH = 255;
var RESERVED_HIGH_4_LEVEL = 1048320;
var RESERVED_HIGH_PAE = 2147483392;
var NX_HIGH = 1 << 31;
var RESERVED_PDPTE = 486;
function frameOf(low2, high2) {
  return low2 >>> 12 | (high2 & ADDRESS_HIGH) << 20;
}
var LARGE_PAGE_MARKS = 4096;
function largePageMark(low2, high2) {
  return (low2 >>> 22 ^ Math.imul(high2, 2654435761)) & LARGE_PAGE_MARKS - 1;
}
function hugePageMark(low2, high2) {
  return (high2 << 2 | low2 >>> 30) & LARGE_PAGE_MARKS - 1;
}
var Paging = class {
  constructor(state) {
    this.state = state;
    this.physical = state.physical;
    this.i32 = state.i32;
  }
  state;
  i32;
  physical;
  /** After translate(): the page may be written through the TLB by the current context (writable and dirty). */
  writable = false;
  /** After translate(): the page is a user-mode page. */
  userPage = false;
  /** `stamp` where a page larger than 4 KBytes may have gone into the TLB since the last flush: hashed by 4-MByte and 1-GByte region. */
  largePages = new Int32Array(LARGE_PAGE_MARKS);
  hugePages = new Int32Array(LARGE_PAGE_MARKS);
  /** What a mark has that was set since the last flush. */
  stamp = 1;
  /**
   * Host-physical address of a canonical linear address, for an access of PageAccess flags.
   * @throws {Fault} #PF, with CR2 set.
   */
  translate(low2, high2, access) {
    return this.translateFrame(low2, high2, access) * 4096 + (low2 & 4095);
  }
  /** The same as the number of a 4-KByte frame. Frame numbers have 28 bits, so that the walk computes with small integers. */
  translateFrame(low2, high2, access) {
    const { i32: i329 } = this;
    if ((i329[State.cr0 >> 2] & Cr0.PG) === 0) {
      this.writable = true;
      this.userPage = false;
      return low2 >>> 12;
    }
    if ((i329[State.cr4 >> 2] & Cr4.PAE) === 0) return this.translate32(low2, access);
    if (i329[State.efer >> 2] & Efer.LMA) {
      const root = frameOf(i329[State.cr3 >> 2], i329[(State.cr3 >> 2) + 1]);
      return this.translate64(low2, high2, access, root, 4, WRITABLE | USER);
    }
    const slot = (Internal.pdpte >> 2) + (low2 >>> 30) * 2;
    const pdpte = i329[slot];
    if ((pdpte & PRESENT) === 0) this.fault(low2, 0, access, 0);
    return this.translate64(low2, 0, access, frameOf(pdpte, i329[slot + 1]), 2, WRITABLE | USER);
  }
  /** 32-bit paging (SDM Vol. 3A §4.3). */
  translate32(low2, access) {
    const { i32: i329 } = this;
    const directory = i329[State.cr3 >> 2] >>> 12;
    const pdeIndex = low2 >>> 22;
    const pde = this.readWord(directory, pdeIndex);
    if ((pde & PRESENT) === 0) this.fault(low2, 0, access, 0);
    if (pde & PAGE_SIZE && i329[State.cr4 >> 2] & Cr4.PSE) {
      if (pde & 1 << 21) this.fault(low2, 0, access, PRESENT | RESERVED_ERROR);
      this.check(low2, 0, access, pde, false);
      this.markLeaf(directory, pdeIndex, pde, access);
      this.largePages[largePageMark(low2, 0)] = this.stamp;
      return pde >>> 12 & 1047552 | (pde >>> 13 & 255) << 20 | low2 >>> 12 & 1023;
    }
    if ((pde & ACCESSED) === 0) this.writeWord(directory, pdeIndex, pde | ACCESSED);
    const table = pde >>> 12;
    const pteIndex = low2 >>> 12 & 1023;
    const pte = this.readWord(table, pteIndex);
    if ((pte & PRESENT) === 0) this.fault(low2, 0, access, 0);
    this.check(low2, 0, access, pde & pte, false);
    this.markLeaf(table, pteIndex, pte, access);
    return pte >>> 12;
  }
  /** The 64-bit entries of PAE and 4-level paging from `level` (4 = PML4, ... 1 = page table) down (SDM Vol. 3A §4.4, §4.5). */
  translate64(low2, high2, access, table, level, rights) {
    const efer = this.i32[State.efer >> 2];
    let reserved = efer & Efer.LMA ? RESERVED_HIGH_4_LEVEL : RESERVED_HIGH_PAE;
    if ((efer & Efer.NXE) === 0) reserved |= NX_HIGH;
    let executable = true;
    for (; ; level--) {
      const index2 = level === 1 ? low2 >>> 12 & 511 : level === 2 ? low2 >>> 21 & 511 : level === 3 ? (high2 & 127) << 2 | low2 >>> 30 : high2 >>> 7 & 511;
      const entry = this.readWord(table, index2 * 2);
      const entryHigh = this.readWord(table, index2 * 2 + 1);
      if ((entry & PRESENT) === 0) this.fault(low2, high2, access, 0);
      if (entryHigh & reserved) this.fault(low2, high2, access, PRESENT | RESERVED_ERROR);
      rights &= entry;
      if (entryHigh < 0) executable = false;
      const frame = frameOf(entry, entryHigh);
      if (level === 1 || entry & PAGE_SIZE) {
        if (level === 4 || level === 3 && entry & 1073733632 || level === 2 && entry & 2088960)
          this.fault(low2, high2, access, PRESENT | RESERVED_ERROR);
        this.check(low2, high2, access, rights, !executable);
        this.markLeaf(table, index2 * 2, entry, access);
        if (level === 1) return frame;
        if (level === 2) this.largePages[largePageMark(low2, high2)] = this.stamp;
        else this.hugePages[hugePageMark(low2, high2)] = this.stamp;
        const offset = level === 2 ? 511 : 262143;
        return frame & ~offset | low2 >>> 12 & offset;
      }
      if ((entry & ACCESSED) === 0) this.writeWord(table, index2 * 2, entry | ACCESSED);
      table = frame;
    }
  }
  /** The access rights of SDM Vol. 3A §4.6.1, given R/W and U/S as all levels together have them. */
  check(low2, high2, access, rights, executeDisabled) {
    const { i32: i329 } = this;
    const user = (rights & USER) !== 0;
    this.userPage = user;
    let denied = (access & PageAccess.fetch) !== 0 && executeDisabled;
    let writable = (rights & WRITABLE) !== 0;
    if (access & PageAccess.user) {
      if (!user) denied = true;
    } else {
      if (user) {
        const cr4 = i329[State.cr4 >> 2];
        if (access & PageAccess.fetch) {
          if (cr4 & Cr4.SMEP) denied = true;
        } else if (cr4 & Cr4.SMAP) {
          if (access & PageAccess.implicit || (i329[State.flagsRest >> 2] & Eflags.AC) === 0) denied = true;
        }
      }
      if ((i329[State.cr0 >> 2] & Cr0.WP) === 0) writable = true;
    }
    this.writable = writable;
    if (denied || access & PageAccess.write && !writable) this.fault(low2, high2, access, PRESENT);
  }
  markLeaf(table, word, entry, access) {
    const marked = entry | (access & PageAccess.write ? ACCESSED | DIRTY : ACCESSED);
    if (marked !== entry) this.writeWord(table, word, marked);
    if ((marked & DIRTY) === 0) this.writable = false;
  }
  /** Word `word` of the table in a frame. */
  readWord(table, word) {
    const kind = this.physical.kindOf(table);
    if (kind === PageKind.ram || kind === PageKind.rom) return this.i32[(RAM_BASE >> 2) + table * 1024 + word];
    return this.physical.read(table * 4096 + word * 4, 4) | 0;
  }
  writeWord(table, word, value) {
    this.physical.write(table * 4096 + word * 4, 4, value >>> 0);
  }
  fault(low2, high2, access, error) {
    const { i32: i329 } = this;
    i329[State.cr2 >> 2] = low2;
    i329[(State.cr2 >> 2) + 1] = high2;
    error |= access & (PageAccess.write | PageAccess.user);
    if (access & PageAccess.fetch) {
      const cr4 = i329[State.cr4 >> 2];
      if (cr4 & Cr4.SMEP || cr4 & Cr4.PAE && i329[State.efer >> 2] & Efer.NXE) error |= PageAccess.fetch;
    }
    throw new Fault(Vector.pageFault, error);
  }
  /** Forgets all translations in the TLB (SDM Vol. 3A §4.10.4.1). Global pages go with the rest. */
  flush() {
    this.stamp = this.stamp + 1 & 2147483647;
    this.state.tlb.flush();
  }
  /** Forgets the translation of one linear address, of its whole page when that is large (SDM Vol. 3A §4.10.4.1, INVLPG). */
  flushPage(low2, high2) {
    const large = this.largePages[largePageMark(low2, high2)] === this.stamp;
    if (large || this.hugePages[hugePageMark(low2, high2)] === this.stamp) this.flush();
    else this.state.tlb.flushPage(low2, high2);
  }
  /**
   * Loads the four PDPTE registers from the table that CR3 would point to (SDM Vol. 3A §4.4.1).
   * @returns false, and nothing is changed, when one of them sets a reserved bit: the caller raises #GP(0).
   */
  loadPdptes(cr3Low) {
    const table = (cr3Low & ~31) >>> 0;
    const entries = new Int32Array(8);
    for (let word = 0; word < 8; word++) entries[word] = this.readWord(table >>> 12, ((table & 4095) >> 2) + word);
    for (let index2 = 0; index2 < 4; index2++) {
      const low2 = entries[index2 * 2];
      const high2 = entries[index2 * 2 + 1];
      if (low2 & PRESENT && (low2 & RESERVED_PDPTE || high2 & (NX_HIGH | RESERVED_HIGH_PAE))) return false;
    }
    this.i32.set(entries, Internal.pdpte >> 2);
    return true;
  }
};

// emulator/cpu/cpuid.ts
var DEFAULT_FEATURES = { apic: true, smep: false, smap: false, fsgsbase: false };
function supportedCr4(features) {
  return Cr4.VME | Cr4.PVI | Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.PCE | Cr4.OSFXSR | Cr4.OSXMMEXCPT | (features.smep ? Cr4.SMEP : 0) | (features.smap ? Cr4.SMAP : 0) | (features.fsgsbase ? Cr4.FSGSBASE : 0);
}
function characters(text, at) {
  let value = 0;
  for (let index2 = 3; index2 >= 0; index2--) value = value << 8 | (text.charCodeAt(at + index2) || 0);
  return value;
}
var VENDOR = "GenuineIntel";
var BRAND = "Hyperscope x86-64 processor".padEnd(48, "\0");
var HIGHEST_BASIC = 7;
var HIGHEST_EXTENDED = 2147483656;
var BASIC_FEATURES = {
  FPU: 1 << 0,
  VME: 1 << 1,
  DE: 1 << 2,
  PSE: 1 << 3,
  TSC: 1 << 4,
  MSR: 1 << 5,
  PAE: 1 << 6,
  CX8: 1 << 8,
  SEP: 1 << 11,
  MTRR: 1 << 12,
  PGE: 1 << 13,
  CMOV: 1 << 15,
  PAT: 1 << 16,
  PSE36: 1 << 17,
  CLFSH: 1 << 19,
  MMX: 1 << 23,
  FXSR: 1 << 24,
  SSE: 1 << 25,
  SSE2: 1 << 26
};
var APIC = 1 << 9;
var EXTENDED_FEATURES = { NX: 1 << 20, Page1GB: 1 << 26, RDTSCP: 1 << 27, LM: 1 << 29 };
var SYSCALL = 1 << 11;
var LAHF64 = 1 << 0;
var union = (bits2) => Object.values(bits2).reduce((all, bit2) => all | bit2, 0);
var CACHES = [
  [289, 7 << 22 | 63, 63, 0],
  [290, 7 << 22 | 63, 63, 0],
  [323, 7 << 22 | 63, 4095, 0]
];
var Cpuid = class {
  constructor(core, features) {
    this.core = core;
    this.features = features;
  }
  core;
  features;
  /** The registers that CPUID gives for EAX = `leaf` and ECX = `subleaf`. */
  query(leaf, subleaf) {
    const { features } = this;
    const { state } = this.core;
    switch (leaf >>> 0) {
      case 0:
        return [HIGHEST_BASIC, characters(VENDOR, 0), characters(VENDOR, 8), characters(VENDOR, 4)];
      case 1: {
        const enabled = features.apic && (state.i32[apicBaseSlot >> 2] & 2048) !== 0;
        return [PROCESSOR_SIGNATURE, 2048, 0, union(BASIC_FEATURES) | (enabled ? APIC : 0)];
      }
      case 2:
        return [1, 0, 0, 2895997];
      case 4:
        return CACHES[subleaf] ?? [0, 0, 0, 0];
      case 7: {
        const bits2 = (features.fsgsbase ? 1 : 0) | (features.smep ? 1 << 7 : 0) | (features.smap ? 1 << 20 : 0);
        return subleaf === 0 ? [0, bits2, 0, 0] : [0, 0, 0, 0];
      }
      case 3:
      case 5:
      case 6:
        return [0, 0, 0, 0];
      case 2147483648:
        return [HIGHEST_EXTENDED, 0, 0, 0];
      case 2147483649:
        return [0, 0, LAHF64, union(EXTENDED_FEATURES) | (state.mode64 ? SYSCALL : 0)];
      case 2147483650:
      case 2147483651:
      case 2147483652: {
        const at = ((leaf >>> 0) - 2147483650) * 16;
        return [
          characters(BRAND, at),
          characters(BRAND, at + 4),
          characters(BRAND, at + 8),
          characters(BRAND, at + 12)
        ];
      }
      case 2147483653:
        return [0, 0, 0, 0];
      case 2147483654:
        return [0, 0, 134242368, 0];
      case 2147483655:
        return [0, 0, 0, 1 << 8];
      case 2147483656:
        return [48 << 8 | PHYSICAL_ADDRESS_BITS, 0, 0, 0];
      default:
        return this.query(HIGHEST_BASIC, subleaf);
    }
  }
  cpuid = () => {
    const { state } = this.core;
    const [eax, ebx, ecx, edx] = this.query(state.i32[State.gpr >> 2], state.gpr32(1));
    state.setGpr32(0, eax);
    state.setGpr32(3, ebx);
    state.setGpr32(1, ecx);
    state.setGpr32(2, edx);
    return Outcome.next;
  };
};

// emulator/cpu/memory-access.ts
var WatchedFor = { nothing: 0, reads: 1, writes: 2 };
var EXCHANGE = State.exchange;
var PAGE = 4096;
var MemoryAccess = class {
  constructor(state, paging) {
    this.state = state;
    this.paging = paging;
    this.physical = state.physical;
    this.tlb = state.tlb;
    this.i32 = state.i32;
    this.u8 = state.u8;
    this.view = state.view;
  }
  state;
  paging;
  i32;
  u8;
  view;
  physical;
  tlb;
  /** Each is asked and told. Change the list with setWatches(), which empties the TLB. */
  watches = [];
  /** The linear address that the last segment check made. */
  low = 0;
  high = 0;
  /** Replaces the watches and makes every page be asked for anew. */
  setWatches(watches) {
    this.watches = watches;
    this.tlb.flush();
  }
  /** ProcessorHooks.slowRead. @throws {Fault} */
  slowRead(_record, offsetLow, offsetHigh, kind) {
    this.locate(offsetLow, offsetHigh, kind, (kind & AccessKind.forWrite) !== 0);
    this.transfer(kind & AccessKind.sizeMask, this.rights(kind), false, (kind & AccessKind.forWrite) !== 0);
  }
  /** ProcessorHooks.slowWrite. @throws {Fault} */
  slowWrite(_record, offsetLow, offsetHigh, kind) {
    this.locate(offsetLow, offsetHigh, kind, true);
    this.transfer(kind & AccessKind.sizeMask, this.rights(kind), true, false);
  }
  rights(kind) {
    if (kind & AccessKind.supervisor) return PageAccess.implicit;
    return this.i32[State.cpl >> 2] === 3 ? PageAccess.user : 0;
  }
  locate(offsetLow, offsetHigh, kind, write) {
    if (kind & AccessKind.linear) {
      this.low = offsetLow;
      this.high = offsetHigh;
      return;
    }
    const segment = (kind & AccessKind.segmentMask) >> AccessKind.segmentShift;
    this.checkSegment(segment, offsetLow, offsetHigh, kind & AccessKind.sizeMask, write);
  }
  /** Segment checks of SDM Vol. 3A §5.3, §5.4 and the canonical check of Vol. 1 §3.3.7.1; leaves the linear address in low and high. */
  checkSegment(segment, offsetLow, offsetHigh, size, write) {
    const { i32: i329 } = this;
    const at = segmentSlot(segment) >> 2;
    if (i329[State.codeSize >> 2] === 3) {
      const sum = (i329[at] >>> 0) + (offsetLow >>> 0);
      this.low = sum | 0;
      this.high = i329[at + 1] + offsetHigh + (sum > 4294967295 ? 1 : 0) | 0;
      const lastHigh = ((this.low >>> 0) + size - 1 > 4294967295 ? this.high + 1 : this.high) | 0;
      if (!isCanonical(this.high) || !isCanonical(lastHigh))
        throw new Fault(segment === Segment.ss ? Vector.stackFault : Vector.generalProtection, 0);
      return;
    }
    if (!this.insideSegment(at, offsetLow >>> 0, size, write))
      throw new Fault(segment === Segment.ss ? Vector.stackFault : Vector.generalProtection, 0);
    this.low = i329[at] + offsetLow | 0;
    this.high = 0;
  }
  insideSegment(at, offset, size, write) {
    const { i32: i329 } = this;
    const access = i329[at + (SegmentSlot.access >> 2)];
    const limit = i329[at + (SegmentSlot.limit >> 2)] >>> 0;
    if (access & Access.unusable) return false;
    if (access & Access.code) {
      if (write || (access & Access.readable) === 0) return false;
    } else if (write && (access & Access.writable) === 0) return false;
    const last = offset + size - 1;
    if ((access & (Access.code | Access.expandDown)) === Access.expandDown)
      return offset > limit && last <= (access & Access.DB ? 4294967295 : 65535);
    return last <= limit || limit === 4294967295;
  }
  /** The access itself, between linear memory and State.exchange. */
  transfer(size, rights, write, forWrite) {
    const { low: low2, high: high2, paging } = this;
    if (rights & PageAccess.user && size > 1) this.checkAlignment(low2, size);
    const access = write || forWrite ? rights | PageAccess.write : rights;
    const room = PAGE - (low2 & 4095);
    if (size <= room) {
      const frame = paging.translateFrame(low2, high2, access);
      const watched = this.watches.length === 0 ? 0 : this.watchedFor(low2, high2, frame);
      const mayWrite = paging.writable && (watched & WatchedFor.writes) === 0;
      const mayEnter = this.mayEnter(rights) && (watched & WatchedFor.reads) === 0;
      this.transferPart(low2, high2, frame, EXCHANGE, size, write, watched);
      if (mayEnter) this.tlb.fill(low2, high2, frame, mayWrite);
      return;
    }
    const nextLow = low2 + room | 0;
    let nextHigh = nextLow === 0 ? high2 + 1 | 0 : high2;
    if (this.i32[State.codeSize >> 2] !== 3) nextHigh = 0;
    const first = paging.translateFrame(low2, high2, access);
    const second2 = paging.translateFrame(nextLow, nextHigh, access);
    const watching = this.watches.length !== 0;
    const firstWatched = watching ? this.watchedFor(low2, high2, first) : 0;
    const secondWatched = watching ? this.watchedFor(nextLow, nextHigh, second2) : 0;
    this.transferPart(low2, high2, first, EXCHANGE, room, write, firstWatched);
    this.transferPart(nextLow, nextHigh, second2, EXCHANGE + room, size - room, write, secondWatched);
  }
  /** #AC for an unaligned access at CPL 3 (SDM Vol. 3A §6.15, Interrupt 17). */
  checkAlignment(low2, size) {
    if (!this.state.alignmentChecked) return;
    const mask2 = size === 10 ? 7 : size > 16 || (size & size - 1) !== 0 ? 3 : size - 1;
    if (low2 & mask2) throw new Fault(Vector.alignmentCheck, 0);
  }
  /** False when the current context must not use this translation again without asking. */
  mayEnter(rights) {
    const { i32: i329 } = this;
    const user = i329[State.cpl >> 2] === 3;
    if (rights & PageAccess.implicit || (rights & PageAccess.user) !== 0 !== user) return false;
    if (user) return (i329[State.flagsRest >> 2] & Eflags.AC) === 0 || (i329[State.cr0 >> 2] & Cr0.AM) === 0;
    return !(this.paging.userPage && i329[State.cr4 >> 2] & Cr4.SMAP);
  }
  watchedFor(low2, high2, frame) {
    let bits2 = 0;
    for (const watch of this.watches) bits2 |= watch.watches(low2, high2, frame);
    return bits2;
  }
  transferPart(low2, high2, frame, at, size, write, watched) {
    const wanted = write ? WatchedFor.writes : WatchedFor.reads;
    if ((watched & wanted) === 0) {
      this.move(frame, low2 & 4095, at, size, write);
      return;
    }
    const physical = frame * PAGE + (low2 & 4095);
    const before2 = this.physical.peek(physical, size);
    this.move(frame, low2 & 4095, at, size, write);
    const oldValue = before2 && littleEndian(before2);
    const newValue = before2 && littleEndian(this.physical.peek(physical, size));
    const linear = BigInt(high2 >>> 0) << 32n | BigInt(low2 >>> 0);
    for (const watch of this.watches)
      if (watch.watches(low2, high2, frame) & wanted)
        watch.accessed({ linear, physical, size, write, oldValue, newValue });
  }
  /** Moves bytes between State bytes at `at` and offset `offset` of a frame of host-physical memory, within the frame. */
  move(frame, offset, at, size, write) {
    const { physical } = this;
    const kind = physical.kindOf(frame);
    if (kind === PageKind.ram) {
      const place2 = RAM_BASE + frame * PAGE + offset;
      if (!write) this.copy(place2, at, size);
      else {
        if (physical.hasCode[frame]) physical.onCodeWrite(frame * PAGE + offset, size);
        this.copy(at, place2, size);
      }
      return;
    }
    if (kind === PageKind.rom) {
      if (!write) this.copy(RAM_BASE + frame * PAGE + offset, at, size);
      return;
    }
    const address = frame * PAGE + offset;
    for (let done = 0; done < size; ) {
      const left = size - done;
      const unit = left >= 4 && (offset + done) % 4 === 0 ? 4 : left >= 2 && (offset + done) % 2 === 0 ? 2 : 1;
      if (write) physical.write(address + done, unit, this.exchanged(at + done, unit));
      else {
        const value = physical.read(address + done, unit);
        if (unit === 4) this.view.setUint32(at + done, value, true);
        else if (unit === 2) this.view.setUint16(at + done, value, true);
        else this.u8[at + done] = value;
      }
      done += unit;
    }
  }
  /** Copies within WebAssembly memory, of which the state and RAM are both parts. */
  copy(from, to, size) {
    const { view, u8 } = this;
    if (size === 4) view.setInt32(to, view.getInt32(from, true), true);
    else if (size === 1) u8[to] = u8[from];
    else if (size === 2) view.setUint16(to, view.getUint16(from, true), true);
    else if (size === 8) {
      view.setInt32(to, view.getInt32(from, true), true);
      view.setInt32(to + 4, view.getInt32(from + 4, true), true);
    } else u8.copyWithin(to, from, from + size);
  }
  exchanged(at, size) {
    return size === 1 ? this.u8[at] : size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
  }
  // For helpers. Sizes of 1, 2 and 4 bytes return an unsigned number; of an 8-byte value it is the low half, and
  // `valueHigh` has the high half as i32.
  /** High half of the last 8-byte value that was read. */
  get valueHigh() {
    return this.i32[(EXCHANGE >> 2) + 1];
  }
  /** Reads at an offset in a segment with the rights of CPL. @throws {Fault} */
  read(segment, offsetLow, offsetHigh, size) {
    this.checkSegment(segment, offsetLow, offsetHigh, size, false);
    this.readHere(size, this.rights(0));
    return this.exchanged(EXCHANGE, size);
  }
  /** Writes at an offset in a segment with the rights of CPL. @throws {Fault} */
  write(segment, offsetLow, offsetHigh, size, value, valueHigh = 0) {
    this.checkSegment(segment, offsetLow, offsetHigh, size, true);
    this.writeHere(size, value, valueHigh, this.rights(0));
  }
  readHere(size, rights) {
    const place2 = this.lookUp(size, rights, Tlb.readTag);
    if (place2 >= 0) this.copy(place2, EXCHANGE, size);
    else this.transfer(size, rights, false, false);
  }
  writeHere(size, value, valueHigh, rights) {
    this.i32[EXCHANGE >> 2] = value;
    this.i32[(EXCHANGE >> 2) + 1] = valueHigh;
    const place2 = this.lookUp(size, rights, Tlb.writeTag);
    if (place2 >= 0) this.copy(EXCHANGE, place2, size);
    else this.transfer(size, rights, true, false);
  }
  /** Place in WebAssembly memory of the bytes at low and high, when the TLB of the current context has them; else -1. */
  lookUp(size, rights, tag2) {
    const { i32: i329, low: low2 } = this;
    if ((low2 & 4095) + size > PAGE || (rights & PageAccess.user) !== 0 !== (i329[State.cpl >> 2] === 3)) return -1;
    const entry = Tlb.base + (low2 >>> 12 & Tlb.entries - 1) * Tlb.entrySize >> 2;
    const at = entry + (tag2 >> 2);
    if (i329[at] !== (low2 & ~4095 | i329[State.tlbContext >> 2]) || i329[at + 1] !== this.high) return -1;
    return low2 + i329[entry + (Tlb.addend >> 2)] >>> 0;
  }
  /** Raises what a write of this size there would raise, without writing. @throws {Fault} */
  probeWrite(segment, offsetLow, offsetHigh, size) {
    this.checkSegment(segment, offsetLow, offsetHigh, size, true);
    const rights = this.rights(0);
    if (rights & PageAccess.user && size > 1) this.checkAlignment(this.low, size);
    const { low: low2, high: high2 } = this;
    this.paging.translate(low2, high2, rights | PageAccess.write);
    if ((low2 & 4095) + size > PAGE) {
      const nextLow = low2 + PAGE & ~4095;
      this.paging.translate(
        nextLow,
        nextLow === 0 && this.i32[State.codeSize >> 2] === 3 ? high2 + 1 : high2,
        rights | PageAccess.write
      );
    }
  }
  /** Raises what a read of one byte there would raise (CLFLUSH). @throws {Fault} */
  probeRead(segment, offsetLow, offsetHigh) {
    this.checkSegment(segment, offsetLow, offsetHigh, 1, false);
    this.paging.translate(this.low, this.high, this.rights(0));
  }
  /** Reads at a linear address; `rights` are PageAccess flags (implicit for a table of the system, user or 0). @throws {Fault} */
  readLinear(low2, high2, size, rights = PageAccess.implicit) {
    this.low = low2;
    this.high = high2;
    this.readHere(size, rights);
    return this.exchanged(EXCHANGE, size);
  }
  /** Writes at a linear address. @throws {Fault} */
  writeLinear(low2, high2, size, value, valueHigh = 0, rights = PageAccess.implicit) {
    this.low = low2;
    this.high = high2;
    this.writeHere(size, value, valueHigh, rights);
  }
  /**
   * ProcessorHooks.fetchAddress: host-physical address of the code byte at `rip` (SDM Vol. 3A §5.3, §4.6).
   * @throws {Fault} #GP(0) beyond the limit or not canonical, #PF.
   */
  fetchAddress(rip) {
    const low2 = Number(BigInt.asIntN(32, rip));
    const high2 = Number(BigInt.asIntN(32, rip >> 32n));
    const access = PageAccess.fetch | this.rights(0);
    if (this.i32[State.codeSize >> 2] === 3) {
      if (!isCanonical(high2)) throw new Fault(Vector.generalProtection, 0);
      return this.paging.translate(low2, high2, access);
    }
    if (low2 >>> 0 > this.state.limit(Segment.cs) || high2 !== 0) throw new Fault(Vector.generalProtection, 0);
    return this.paging.translate(this.state.baseLow(Segment.cs) + low2 | 0, 0, access);
  }
  /**
   * Bytes at a linear address as the tables map them, whatever the rights; no side effects, no device is touched. Shorter
   * than asked when only a part can be read; undefined when not even the first byte can.
   */
  peekLinear(linear, length) {
    const bytes = new Uint8Array(length);
    let done = 0;
    this.eachPage(linear, length, (address, size) => {
      const part = this.physical.peek(address, size);
      if (!part) return false;
      bytes.set(part, done);
      done += size;
      return true;
    });
    if (done === 0 && length > 0) return void 0;
    return bytes.subarray(0, done);
  }
  /** Writes as a debugger does: through read-only mappings, with no accessed or dirty flag. @returns the bytes written. */
  pokeLinear(linear, bytes) {
    let done = 0;
    this.eachPage(linear, bytes.length, (address, size) => {
      if (!this.physical.poke(address, bytes.subarray(done, done + size))) return false;
      done += size;
      return true;
    });
    return done;
  }
  eachPage(linear, length, action) {
    const tables = inspectedTables(this.state);
    const mask2 = this.state.longMode ? 64 : 32;
    for (let done = 0; done < length; ) {
      const at = BigInt.asUintN(mask2, linear + BigInt(done));
      const size = Math.min(length - done, PAGE - Number(at & 0xfffn));
      const address = translateInspected(this.physical, tables, at);
      if (address === void 0 || !action(address, size)) return;
      done += size;
    }
  }
};
function isCanonical(high2) {
  const sign2 = high2 >> 15;
  return sign2 === 0 || sign2 === -1;
}
function littleEndian(bytes) {
  let value = 0n;
  for (let index2 = bytes.length - 1; index2 >= 0; index2--) value = value << 8n | BigInt(bytes[index2]);
  return value;
}

// emulator/cpu/control-registers.ts
var CR0_DEFINED = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.NW | Cr0.CD | Cr0.PG;
var CR0_FLUSHES = Cr0.PE | Cr0.WP | Cr0.PG;
var CR4_FLUSHES = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.SMEP | Cr4.SMAP;
var CR0_LOADS_PDPTES = Cr0.CD | Cr0.NW | Cr0.PG;
var CR4_LOADS_PDPTES = Cr4.PAE | Cr4.PGE | Cr4.PSE | Cr4.SMEP;
var badValue = () => new Fault(Vector.generalProtection, 0);
var ControlRegisters = class {
  constructor(core, features) {
    this.core = core;
    this.features = features;
    this.helpers = this.instructions();
  }
  core;
  features;
  taskPriority;
  helpers;
  usesPdptes(cr0, cr4, efer) {
    return (cr0 & Cr0.PG) !== 0 && (cr4 & Cr4.PAE) !== 0 && (efer & Efer.LMA) === 0;
  }
  /** @throws {Fault} #GP(0) for a value that MOV to CR0 refuses. */
  writeCr0(low2, high2 = 0) {
    const { state, paging } = this.core;
    const old = state.cr0;
    const cr0 = low2 & CR0_DEFINED | Cr0.ET;
    if (high2 !== 0) throw badValue();
    if (cr0 & Cr0.PG && !(cr0 & Cr0.PE)) throw badValue();
    if (cr0 & Cr0.NW && !(cr0 & Cr0.CD)) throw badValue();
    const changed = old ^ cr0;
    let { efer } = state;
    if (changed & Cr0.PG) {
      if (cr0 & Cr0.PG) {
        if (efer & Efer.LME) {
          const tss16 = (state.access(Segment.tr) & 8) === 0;
          if (!(state.cr4 & Cr4.PAE) || state.access(Segment.cs) & Access.L || tss16) throw badValue();
          efer |= Efer.LMA;
        }
      } else {
        if (state.mode64) throw badValue();
        efer &= ~Efer.LMA;
      }
    }
    if (changed & CR0_LOADS_PDPTES && this.usesPdptes(cr0, state.cr4, efer)) {
      if (!paging.loadPdptes(state.i32[State.cr3 >> 2])) throw badValue();
    }
    state.cr0 = cr0;
    state.efer = efer;
    if (changed & CR0_FLUSHES) paging.flush();
    state.updateMode();
  }
  /** @throws {Fault} #GP(0) */
  writeCr3(low2, high2 = 0) {
    const { state, paging } = this.core;
    if (high2 >>> 0 >= 2 ** (PHYSICAL_ADDRESS_BITS - 32)) throw badValue();
    if (this.usesPdptes(state.cr0, state.cr4, state.efer) && !paging.loadPdptes(low2)) throw badValue();
    state.i32[State.cr3 >> 2] = low2;
    state.i32[(State.cr3 >> 2) + 1] = high2;
    paging.flush();
  }
  /** @throws {Fault} #GP(0) */
  writeCr4(low2, high2 = 0) {
    const { state, paging } = this.core;
    if (high2 !== 0 || low2 & ~supportedCr4(this.features)) throw badValue();
    if (state.longMode && !(low2 & Cr4.PAE)) throw badValue();
    const changed = state.cr4 ^ low2;
    if (changed & CR4_LOADS_PDPTES && this.usesPdptes(state.cr0, low2, state.efer)) {
      if (!paging.loadPdptes(state.i32[State.cr3 >> 2])) throw badValue();
    }
    state.cr4 = low2;
    if (changed & CR4_FLUSHES) paging.flush();
    state.updateMode();
  }
  /** @throws {Fault} #GP(0) */
  writeCr8(low2, high2) {
    if (high2 !== 0 || low2 >>> 0 > 15) throw badValue();
    this.core.state.i64[State.cr8 >> 3] = BigInt(low2);
    this.taskPriority?.write(low2);
  }
  instructions() {
    const { core } = this;
    const { state, operands } = core;
    const requireCpl0 = () => {
      if (state.cpl !== 0) throw badValue();
    };
    const nothing = () => {
      requireCpl0();
      return Outcome.next;
    };
    return {
      moveToControl: (record) => {
        const register = operands.register(record, 0);
        if (![0, 2, 3, 4, 8].includes(register)) throw new Fault(Vector.invalidOpcode);
        requireCpl0();
        const size = state.mode64 ? 8 : 4;
        const low2 = operands.readRegister(operands.register(record, 1), size) | 0;
        const high2 = size === 8 ? operands.high : 0;
        if (register === 0) this.writeCr0(low2, high2);
        else if (register === 3) this.writeCr3(low2, high2);
        else if (register === 4) this.writeCr4(low2, high2);
        else if (register === 8) this.writeCr8(low2, high2);
        else {
          state.i32[State.cr2 >> 2] = low2;
          state.i32[(State.cr2 >> 2) + 1] = high2;
        }
        return operands.advance(record, core.leave());
      },
      moveFromControl: (record) => {
        const register = operands.register(record, 1);
        if (![0, 2, 3, 4, 8].includes(register)) throw new Fault(Vector.invalidOpcode);
        requireCpl0();
        if (register === 8 && this.taskPriority) state.i64[State.cr8 >> 3] = BigInt(this.taskPriority.read());
        const at = [State.cr0, 0, State.cr2, State.cr3, State.cr4, 0, 0, 0, State.cr8][register] >> 2;
        const size = state.mode64 ? 8 : 4;
        operands.writeRegister(operands.register(record, 0), size, state.i32[at], state.i32[at + 1]);
        return Outcome.next;
      },
      clts: () => {
        requireCpl0();
        state.cr0 &= ~Cr0.TS;
        state.updateMode();
        return Outcome.next;
      },
      /** LMSW loads PE, MP, EM and TS and cannot clear PE (SDM Vol. 2A, LMSW). */
      lmsw: (record) => {
        requireCpl0();
        const word = operands.readRm(record, 0, 2) & 15;
        this.writeCr0(state.cr0 & ~14 | word);
        return operands.advance(record, core.leave());
      },
      smsw: (record, size) => {
        if (operands.isMemory(record)) operands.writeMemory(record, 2, state.cr0);
        else operands.writeRegister(operands.register(record, 0), size, state.cr0, 0);
        return Outcome.next;
      },
      invlpg: (record) => {
        requireCpl0();
        operands.locate(record);
        const segment = operands.segmentOf(record);
        const { offsetLow, offsetHigh } = operands;
        const base = BigInt.asUintN(64, state.i64[State.segments + segment * 48 >> 3]);
        const linear = base + (BigInt(offsetHigh) << 32n) + BigInt(offsetLow >>> 0);
        const low2 = Number(BigInt.asIntN(32, linear));
        const high2 = state.mode64 ? Number(BigInt.asIntN(32, linear >> 32n)) : 0;
        if (isCanonical(high2)) core.paging.flushPage(low2, high2);
        return operands.advance(record, core.leave());
      },
      invd: nothing,
      wbinvd: nothing,
      hlt: (record) => {
        requireCpl0();
        state.i32[Internal.activity >> 2] = Activity.halted;
        return operands.advance(record, Outcome.exit);
      }
    };
  }
};

// emulator/cpu/flags.ts
var RESULT = State.flagsResult >> 2;
var AUX = State.flagsAux >> 2;
var REST = State.flagsRest >> 2;
function evenParity(byte) {
  const nibble = (byte ^ byte >> 4) & 15;
  return 38505 >> nibble & 1;
}
var Flags = class {
  i32;
  constructor(physical) {
    this.i32 = physical.i32;
  }
  /** EFLAGS as PUSHF would store it with nothing masked; bit 1 is set. */
  readEflags() {
    const low2 = this.i32[RESULT];
    const high2 = this.i32[RESULT + 1];
    const aux = this.i32[AUX];
    const carry = aux >>> 31;
    const zero2 = low2 === 0 && high2 === 0 ? Eflags.ZF : 0;
    const sign2 = (high2 >>> 31 ^ aux & 1) << 7;
    const parity2 = evenParity((low2 ^ aux >> 8) & 255) << 2;
    const overflow = (carry ^ aux >>> 30 & 1) << 11;
    const adjust = (aux >>> 3 & 1) << 4;
    return this.i32[REST] | Eflags.fixed | carry | parity2 | adjust | zero2 | sign2 | overflow;
  }
  /** Sets the flags in `mask` to those of `value`; flags that do not exist stay 0. Keeps State.interruptsEnabled in step. */
  writeEflags(value, mask2) {
    if (mask2 & Eflags.arithmetic) {
      const flags = (mask2 & Eflags.arithmetic) === Eflags.arithmetic ? value : this.merge(value, mask2);
      const zero2 = (flags & Eflags.ZF) !== 0;
      const carry = flags & 1;
      const overflow = flags >> 11 & 1;
      const parity2 = flags >> 2 & 1;
      const parityByte = zero2 ? parity2 ^ 1 : parity2;
      this.i32[RESULT] = zero2 ? 0 : 1;
      this.i32[RESULT + 1] = 0;
      this.i32[AUX] = carry << 31 | (carry ^ overflow) << 30 | parityByte << 8 | (flags >> 4 & 1) << 3 | flags >> 7 & 1;
    }
    const rest = mask2 & Eflags.rest;
    if (rest) {
      const now = this.i32[REST] & ~rest | value & rest;
      this.i32[REST] = now;
      this.i32[State.interruptsEnabled >> 2] = now >> 9 & 1;
    }
  }
  merge(value, mask2) {
    return this.readEflags() & ~mask2 | value & mask2;
  }
};

// emulator/engine/record.ts
var MEMORY_OPERAND = 128;
var RecordReader = class {
  constructor(physical) {
    this.physical = physical;
  }
  physical;
  length(record) {
    return this.physical.u8[record + Record.length];
  }
  flags(record) {
    return this.physical.u8[record + Record.flags];
  }
  /** True when the instruction's r/m operand is in memory. */
  isMemory(record) {
    return (this.physical.u8[record + Record.flags] & MEMORY_OPERAND) !== 0;
  }
  /** Operand n as decode stored it: GPR: byte offset in the state (8-bit high registers: odd offsets); other classes: the register's number. */
  register(record, operand) {
    return this.physical.u8[record + Record.register + operand];
  }
  /** Low 32 bits of the immediate, signed. */
  immediate(record) {
    return this.physical.i32[record + Record.immediate >> 2];
  }
  immediate64(record) {
    return this.physical.i64[record + Record.immediate >> 3];
  }
  /** Index (SegmentIndex) of the memory operand's segment. */
  segment(record) {
    return (this.physical.u8[record + Record.segment] * 8 - State.segments) / 48;
  }
  /** Offset of the memory operand in its segment, masked to the address size. */
  effectiveAddress(record) {
    const { u8, i32: i329, i64: i6410 } = this.physical;
    const base = i6410[u8[record + Record.base]];
    const index2 = i6410[u8[record + Record.index]];
    const sum = base + (index2 << BigInt(u8[record + Record.scale])) + BigInt(i329[record + Record.displacement >> 2]);
    return this.maskAddress(record, sum);
  }
  /** Cuts an offset to the instruction's address size. */
  maskAddress(record, offset) {
    return BigInt.asUintN(64 - this.physical.u8[record + Record.addressShift], offset);
  }
};

// emulator/cpu/operands.ts
var STACK_POINTER = State.gpr + 4 * 8 >> 2;
var Operands = class extends RecordReader {
  constructor(state, memory) {
    super(state.physical);
    this.state = state;
    this.memory = memory;
  }
  state;
  memory;
  /** High half of the last operand of 8 bytes that was read. */
  high = 0;
  /** Offset of the memory operand that locate() found, as i32 halves. */
  offsetLow = 0;
  offsetHigh = 0;
  spLow = 0;
  spHigh = 0;
  /** Finds the offset of the memory operand plus `displacement` bytes. */
  locate(record, displacement = 0) {
    const { u8, i32: i329 } = this.state;
    const shift3 = u8[record + Record.addressShift];
    if (shift3 === 0) {
      const offset2 = this.effectiveAddress(record) + BigInt(displacement);
      this.offsetLow = Number(BigInt.asIntN(32, offset2));
      this.offsetHigh = Number(BigInt.asIntN(32, offset2 >> 32n));
      return;
    }
    const base = i329[u8[record + Record.base] * 2];
    const index2 = i329[u8[record + Record.index] * 2];
    const offset = base + (index2 << u8[record + Record.scale]) + i329[record + Record.displacement >> 2] | 0;
    this.offsetLow = (shift3 === 48 ? offset & 65535 : offset) + displacement | 0;
    this.offsetHigh = 0;
  }
  /** Reads `size` bytes at the memory operand plus `displacement`. The low half of 8 bytes; the high half is in `high`. @throws {Fault} */
  readMemory(record, size, displacement = 0) {
    this.locate(record, displacement);
    const value = this.memory.read(this.segmentOf(record), this.offsetLow, this.offsetHigh, size);
    if (size === 8) this.high = this.memory.valueHigh;
    return value;
  }
  /** @throws {Fault} */
  writeMemory(record, size, value, high2 = 0, displacement = 0) {
    this.locate(record, displacement);
    this.memory.write(this.segmentOf(record), this.offsetLow, this.offsetHigh, size, value, high2);
  }
  segmentOf(record) {
    return this.segment(record);
  }
  /** A register at a byte offset in the state: unsigned, the low half of 8 bytes; the high half is in `high`. */
  readRegister(at, size) {
    const { u8, view, i32: i329 } = this.state;
    if (size === 1) return u8[at];
    if (size === 2) return view.getUint16(at, true);
    if (size === 8) this.high = i329[(at >> 2) + 1];
    return i329[at >> 2] >>> 0;
  }
  /** Writes a register; 4 bytes clear the upper half, 1 and 2 leave the rest (SDM Vol. 1 §3.4.1.1). */
  writeRegister(at, size, value, high2 = 0) {
    const { u8, view, i32: i329 } = this.state;
    if (size === 1) u8[at] = value;
    else if (size === 2) view.setUint16(at, value & 65535, true);
    else {
      i329[at >> 2] = value;
      i329[(at >> 2) + 1] = size === 8 ? high2 : 0;
    }
  }
  /** The r/m operand, register `operand` of the record or memory. @throws {Fault} */
  readRm(record, operand, size) {
    if (this.isMemory(record)) return this.readMemory(record, size);
    return this.readRegister(this.register(record, operand), size);
  }
  /** @throws {Fault} */
  writeRm(record, operand, size, value, high2 = 0) {
    if (this.isMemory(record)) this.writeMemory(record, size, value, high2);
    else this.writeRegister(this.register(record, operand), size, value, high2);
  }
  /** RIP of the next instruction: low half; the high half is in `high`. */
  nextRip(record) {
    const { i32: i329 } = this.state;
    const sum = (i329[State.rip >> 2] >>> 0) + this.length(record);
    const carry = sum > 4294967295 ? 1 : 0;
    this.high = this.state.mode64 ? i329[(State.rip >> 2) + 1] + carry | 0 : 0;
    return sum | 0;
  }
  /** Sets State.rip to the next instruction and returns the outcome. */
  advance(record, outcome) {
    const low2 = this.nextRip(record);
    this.state.setRip(low2, this.high);
    return outcome;
  }
  // The stack of the current privilege level.
  /** Value at `displacement` bytes above the stack pointer; the high half of 8 bytes is in `high`. @throws {Fault} */
  peekStack(displacement, size) {
    this.locateStack(displacement);
    const value = this.memory.read(Segment.ss, this.spLow, this.spHigh, size);
    if (size === 8) this.high = this.memory.valueHigh;
    return value;
  }
  /** Writes at `displacement` bytes from the stack pointer, which stays. @throws {Fault} */
  pokeStack(displacement, size, value, high2 = 0) {
    this.locateStack(displacement);
    this.memory.write(Segment.ss, this.spLow, this.spHigh, size, value, high2);
  }
  /** Puts the stack pointer plus `displacement`, in the stack's address size, into spLow and spHigh. */
  locateStack(displacement) {
    const { i32: i329 } = this.state;
    const shift3 = i329[State.stackMaskShift >> 2];
    const low2 = i329[STACK_POINTER];
    const sum = low2 + displacement | 0;
    this.spLow = shift3 === 48 ? sum & 65535 : sum;
    this.spHigh = 0;
    if (shift3 === 0) {
      const wrapped = displacement < 0 ? sum >>> 0 > low2 >>> 0 : sum >>> 0 < low2 >>> 0;
      this.spHigh = i329[STACK_POINTER + 1] + (wrapped ? Math.sign(displacement) : 0) | 0;
    }
  }
  /** Moves the stack pointer by `bytes`, in the stack's address size. */
  moveStack(bytes) {
    this.locateStack(bytes);
    this.setStack(this.spLow, this.spHigh);
  }
  /** Sets SP, ESP or RSP by the stack's address size; a 16-bit stack keeps the upper bits. */
  setStack(low2, high2) {
    const { state } = this;
    const shift3 = state.i32[State.stackMaskShift >> 2];
    const at = STACK_POINTER;
    if (shift3 === 48) state.i32[at] = state.i32[at] & ~65535 | low2 & 65535;
    else {
      state.i32[at] = low2;
      state.i32[at + 1] = shift3 === 0 ? high2 : 0;
    }
  }
  push(size, value, high2 = 0) {
    this.pokeStack(-size, size, value, high2);
    this.moveStack(-size);
  }
};

// emulator/cpu/descriptor.ts
var SystemType = {
  availableTss16: 1,
  ldt: 2,
  busyTss16: 3,
  callGate16: 4,
  taskGate: 5,
  interruptGate16: 6,
  trapGate16: 7,
  availableTss: 9,
  busyTss: 11,
  callGate: 12,
  interruptGate: 14,
  trapGate: 15
};
var Descriptor = class {
  constructor(low2, high2, upper = 0) {
    this.low = low2;
    this.high = high2;
    this.upper = upper;
  }
  low;
  high;
  upper;
  /** Access rights in the format of SegmentSlot.access. */
  get access() {
    return this.high >>> 8 & 61695;
  }
  /** Type of a system descriptor, or of code and data without the S bit. */
  get type() {
    return this.high >>> 8 & 15;
  }
  get isSystem() {
    return (this.high & Access.S << 8) === 0;
  }
  get dpl() {
    return this.high >>> 13 & 3;
  }
  get present() {
    return (this.high & Access.P << 8) !== 0;
  }
  get isCode() {
    return (this.high & (Access.S | Access.code) << 8) === (Access.S | Access.code) << 8;
  }
  get isConforming() {
    return (this.high & Access.conforming << 8) !== 0;
  }
  /** A data segment that may be written. */
  get isWritableData() {
    const mask2 = (Access.S | Access.code | Access.writable) << 8;
    return (this.high & mask2) === (Access.S | Access.writable) << 8;
  }
  /** Data, or code that may be read. */
  get isReadable() {
    return !this.isSystem && (!this.isCode || (this.high & Access.readable << 8) !== 0);
  }
  get isLong() {
    return (this.high & Access.L << 8) !== 0;
  }
  /** The D/B flag. */
  get isBig() {
    return (this.high & Access.DB << 8) !== 0;
  }
  get baseLow() {
    return this.low >>> 16 | (this.high & 255) << 16 | this.high & 4278190080;
  }
  /** The limit in bytes, scaled by G, unsigned. */
  get limit() {
    const raw = this.low & 65535 | this.high & 983040;
    return this.high & Access.G << 8 ? (raw << 12 | 4095) >>> 0 : raw;
  }
  // Of gates:
  get gateSelector() {
    return this.low >>> 16;
  }
  get gateOffset() {
    return (this.low & 65535 | this.high & 4294901760) >>> 0;
  }
  /** Parameters that a call gate copies. */
  get gateParameters() {
    return this.high & 31;
  }
  /** Index in the interrupt stack table, of 64-bit gates; 0 for none. */
  get gateStackIndex() {
    return this.high & 7;
  }
};

// emulator/cpu/segmentation.ts
var VIRTUAL_8086_ACCESS = 243;
var Segmentation = class {
  constructor(state, memory) {
    this.state = state;
    this.memory = memory;
  }
  state;
  memory;
  /**
   * Linear address of a selector's descriptor: [low, high], or undefined when it lies beyond its table or in an LDT that is
   * not there. `size` is 8, or 16 for a system descriptor with EFER.LMA.
   */
  place(selector, size) {
    const { state } = this;
    const offset = selector & 65528;
    let low2;
    let high2;
    if (selector & 4) {
      if (state.access(Segment.ldtr) & Access.unusable) return void 0;
      if (offset + size - 1 > state.limit(Segment.ldtr)) return void 0;
      low2 = state.baseLow(Segment.ldtr);
      high2 = state.baseHigh(Segment.ldtr);
    } else {
      if (offset + size - 1 > state.i32[State.gdtrLimit >> 2] >>> 0) return void 0;
      low2 = state.i32[State.gdtrBase >> 2];
      high2 = state.i32[(State.gdtrBase >> 2) + 1];
    }
    const sum = (low2 >>> 0) + offset;
    return [sum | 0, state.longMode ? high2 + (sum > 4294967295 ? 1 : 0) | 0 : 0];
  }
  /** The descriptor of a selector; undefined when it is beyond the limit of its table. @throws {Fault} #PF */
  find(selector) {
    const at = this.place(selector, 8);
    if (!at) return void 0;
    const low2 = this.memory.readLinear(at[0], at[1], 8) | 0;
    return new Descriptor(low2, this.memory.valueHigh);
  }
  /** The descriptor of a selector. @throws {Fault} `vector` with the selector when it is beyond its table. */
  read(selector, vector2 = Vector.generalProtection) {
    const descriptor = this.find(selector);
    if (!descriptor) throw selectorFault(vector2, selector);
    return descriptor;
  }
  /**
   * A system descriptor, 16 bytes with EFER.LMA (SDM Vol. 3A §3.5.2): `descriptor` is the lower half as read before.
   * @throws {Fault} `vector` with the selector when the upper half is beyond the table or its type is not 0.
   */
  readUpper(selector, descriptor, vector2 = Vector.generalProtection) {
    if (!this.state.longMode) return descriptor;
    const at = this.place(selector, 16);
    if (!at) throw selectorFault(vector2, selector);
    const low2 = (at[0] >>> 0) + 8 | 0;
    const high2 = (at[0] >>> 0) + 8 > 4294967295 ? at[1] + 1 | 0 : at[1];
    const upper = this.memory.readLinear(low2, high2, 8) | 0;
    if (this.memory.valueHigh & 7936) throw selectorFault(vector2, selector);
    return new Descriptor(descriptor.low, descriptor.high, upper);
  }
  /** Sets bits in the type field of a descriptor in memory: accessed, or busy of a TSS (SDM Vol. 3A §3.4.5.1, §7.2.2). */
  changeType(selector, set, clear) {
    const at = this.place(selector, 8);
    if (!at) return;
    const low2 = at[0] + 5 | 0;
    const high2 = (at[0] >>> 0) + 5 > 4294967295 ? at[1] + 1 | 0 : at[1];
    const byte = this.memory.readLinear(low2, high2, 1);
    const changed = (byte | set) & ~clear;
    if (changed !== byte) this.memory.writeLinear(low2, high2, 1, changed);
  }
  /** Sets the accessed flag of a code or data descriptor in memory if it is clear. @returns its access rights with the flag set. */
  markAccessed(selector, descriptor) {
    if ((descriptor.access & Access.accessed) === 0) this.changeType(selector, Access.accessed, 0);
    return descriptor.access | Access.accessed;
  }
  setBusy(selector, busy) {
    this.changeType(selector, busy ? 2 : 0, busy ? 0 : 2);
  }
  /** Loads ES, SS, DS, FS or GS as MOV, POP and LDS do (SDM Vol. 2B, MOV, "Operation"). @throws {Fault} */
  load(segment, selector) {
    const { state } = this;
    if (!state.protectedMode || state.virtual8086) {
      this.loadRealMode(segment, selector);
      if (segment === Segment.ss) state.updateMode();
      return;
    }
    if (segment === Segment.ss) {
      this.loadStack(selector);
      return;
    }
    if ((selector & ~3) === 0) {
      state.setNullSegment(segment, selector);
      return;
    }
    const descriptor = this.read(selector);
    if (!descriptor.isReadable) throw selectorFault(Vector.generalProtection, selector);
    if (!(descriptor.isCode && descriptor.isConforming)) {
      const rpl = selector & 3;
      if (rpl > descriptor.dpl || state.cpl > descriptor.dpl) throw selectorFault(Vector.generalProtection, selector);
    }
    if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
    this.commit(segment, selector, descriptor);
  }
  loadStack(selector) {
    const { state } = this;
    const cpl = state.cpl;
    const rpl = selector & 3;
    if ((selector & ~3) === 0) {
      if (!state.mode64 || cpl === 3 || rpl !== cpl) throw new Fault(Vector.generalProtection, 0);
      this.commitNullStack(selector);
      state.updateMode();
      return;
    }
    const descriptor = this.readStack(selector, cpl, Vector.generalProtection);
    this.commit(Segment.ss, selector, descriptor);
    state.updateMode();
  }
  /**
   * The descriptor of a stack segment for privilege level `cpl`, checked: RPL, writable data, DPL, present.
   * @throws {Fault} `vector` with the selector; #SS when not present.
   */
  readStack(selector, cpl, vector2) {
    const descriptor = this.read(selector, vector2);
    if ((selector & 3) !== cpl || !descriptor.isWritableData || descriptor.dpl !== cpl)
      throw selectorFault(vector2, selector);
    if (!descriptor.present) throw selectorFault(Vector.stackFault, selector);
    return descriptor;
  }
  /** Sets accessed flags ahead of commit(), so that a page fault in a descriptor table comes before anything has changed. */
  prepare(selector, descriptor) {
    if (descriptor) this.markAccessed(selector, descriptor);
  }
  /** Puts a checked code or data descriptor into a segment register, its accessed flag set. The caller runs updateMode() for CS and SS. */
  commit(segment, selector, descriptor) {
    const access = this.markAccessed(selector, descriptor);
    this.state.setSegment(segment, selector, access, descriptor.baseLow, 0, descriptor.limit);
  }
  /** A null SS as 64-bit mode has it; its DPL is the CPL (SDM Vol. 3C §26.3.1.2). */
  commitNullStack(selector) {
    const access = Access.unusable | (selector & 3) << Access.dplShift;
    this.state.setSegment(Segment.ss, selector, access, 0, 0, 4294967295);
  }
  /** Loads a segment register without descriptors: real-address and virtual-8086 mode (SDM Vol. 3B §20.1.1, §20.2.1). */
  loadRealMode(segment, selector) {
    const { state } = this;
    if (state.virtual8086) state.setSegment(segment, selector, VIRTUAL_8086_ACCESS, selector << 4, 0, 65535);
    else {
      const kept = state.access(segment) & (Access.DB | Access.G);
      state.setSegment(segment, selector, 147 | kept, selector << 4, 0, state.limit(segment) | 0);
    }
  }
  /** Loads LDTR (SDM Vol. 2A, LLDT). @throws {Fault} `vector` with the selector. */
  loadLdtr(selector, vector2 = Vector.generalProtection) {
    const { state } = this;
    if ((selector & ~3) === 0) {
      state.setNullSegment(Segment.ldtr, selector);
      return;
    }
    if (selector & 4) throw selectorFault(vector2, selector);
    let descriptor = this.read(selector, vector2);
    if (!descriptor.isSystem || descriptor.type !== 2) throw selectorFault(vector2, selector);
    const absent = vector2 === Vector.generalProtection ? Vector.segmentNotPresent : vector2;
    if (!descriptor.present) throw selectorFault(absent, selector);
    descriptor = this.readUpper(selector, descriptor, vector2);
    if (!isCanonical(descriptor.upper)) throw selectorFault(vector2, selector);
    const { access, baseLow, upper, limit } = descriptor;
    state.setSegment(Segment.ldtr, selector, access, baseLow, upper, limit);
  }
  /**
   * ES, DS, FS and GS after a return to an outer privilege level: those whose segments it may not use become null, and null
   * selectors lose their RPL (SDM Vol. 3A §5.8.6; Vol. 2B, RET, "Operation"). The base of an already null FS or GS stays.
   */
  dropInnerSegments(cpl) {
    const { state } = this;
    for (const segment of [Segment.es, Segment.ds, Segment.fs, Segment.gs]) {
      const access = state.access(segment);
      const conforming = (access & (Access.code | Access.conforming)) === (Access.code | Access.conforming);
      if (access & Access.unusable) state.setSelector(segment, 0);
      else if (!conforming && (access >> Access.dplShift & 3) < cpl) state.setNullSegment(segment, 0);
    }
  }
};
function selectorFault(vector2, selector) {
  return new Fault(vector2, selector & 65532);
}

// emulator/cpu/core.ts
var ProcessorCore = class {
  /** @param retired Instructions retired before the current one. */
  constructor(physical, tlb, retired) {
    this.physical = physical;
    this.tlb = tlb;
    this.retired = retired;
    this.state = new ProcessorState(physical, tlb);
    this.flags = new Flags(physical);
    this.paging = new Paging(this.state);
    this.memory = new MemoryAccess(this.state, this.paging);
    this.segmentation = new Segmentation(this.state, this.memory);
    this.operands = new Operands(this.state, this.memory);
  }
  physical;
  tlb;
  retired;
  state;
  flags;
  paging;
  memory;
  segmentation;
  operands;
  /** EFLAGS with RF as it stands: RF counts only for the instruction after the one that set it (SDM Vol. 3B §17.3.1.1). */
  readEflags() {
    const flags = this.flags.readEflags();
    if ((flags & Eflags.RF) === 0) return flags;
    return this.retired() > this.state.internal(Internal.resumeFlagBoundary) ? flags & ~Eflags.RF : flags;
  }
  /** Writes EFLAGS bits from an instruction that is about to retire, with what follows from RF and AC. */
  writeEflags(value, mask2) {
    const before2 = this.state.flagsRest;
    this.flags.writeEflags(value, mask2);
    if (mask2 & value & Eflags.RF) this.state.setInternal(Internal.resumeFlagBoundary, this.retired() + 1);
    if ((before2 ^ this.state.flagsRest) & (Eflags.AC | Eflags.VM)) this.state.updateMode();
  }
  /** Holds interrupts back until the instruction after this one has retired (SDM Vol. 3A §6.8.3; Vol. 2B, STI). */
  beginInterruptShadow() {
    this.state.setInternal(Internal.shadowBoundary, this.retired() + 2);
  }
  /** The same for MOV SS and POP SS, which hold debug traps back too. */
  beginStackShadow() {
    this.beginInterruptShadow();
    this.state.setInternal(Internal.debugShadowBoundary, this.retired() + 2);
  }
  /** The outcome of an instruction that has set State.rip: the run loop is asked when an interrupt or a single-step trap may be due. */
  leave() {
    const { i32: i329 } = this.state;
    const interrupt = i329[State.interruptRequest >> 2] !== 0 && i329[State.interruptsEnabled >> 2] !== 0;
    const trap = (i329[State.flagsRest >> 2] & Eflags.TF) !== 0 || i329[Internal.pendingDebug >> 2] !== 0;
    return interrupt || trap ? Outcome.exit : Outcome.dispatch;
  }
  /** The outcome of an instruction that changed no mode: goes on, or leaves when an interrupt or a trap may be due. */
  proceed(record) {
    return this.leave() === Outcome.exit ? this.operands.advance(record, Outcome.exit) : Outcome.next;
  }
};

// emulator/cpu/debug-registers.ts
var Dr6 = { BD: 1 << 13, BS: 1 << 14, BT: 1 << 15 };
var DR6_WRITABLE = 57359;
var DR6_ONES = 4294905840;
var DR7_WRITABLE = 4294910975;
var DR7_ONES = 1024;
var DR7_GD = 1 << 13;
var DR7 = State.dr + 7 * 8 >> 2;
var Condition = { execute: 0, write: 1, io: 2, readWrite: 3 };
var DebugRegisters = class {
  constructor(core) {
    this.core = core;
  }
  core;
  /** Called when the data breakpoints of DR7 were changed: `active` says whether there are any. */
  onDataBreakpoints = () => {
  };
  /** True when breakpoint `index` is enabled for this condition. */
  enabled(index2, condition3) {
    const dr7 = this.core.state.i32[DR7];
    return (dr7 >>> index2 * 2 & 3) !== 0 && (dr7 >>> 16 + index2 * 4 & 3) === condition3;
  }
  /** Bytes of breakpoint `index`: LEN 0, 1, 2, 3 = 1, 2, 8, 4. */
  length(index2) {
    return [1, 2, 8, 4][this.core.state.i32[DR7] >>> 18 + index2 * 4 & 3];
  }
  /** The breakpoint's address, aligned to its length as the processor does, unsigned. */
  address(index2) {
    const address = BigInt.asUintN(64, this.core.state.i64[(State.dr >> 3) + index2]);
    return address & ~BigInt(this.length(index2) - 1);
  }
  get hasDataBreakpoints() {
    for (let index2 = 0; index2 < 4; index2++)
      if (this.enabled(index2, Condition.write) || this.enabled(index2, Condition.readWrite)) return true;
    return false;
  }
  /** True when an instruction breakpoint is enabled: the run loop asks executionHits() before each instruction. */
  get hasExecutionBreakpoints() {
    for (let index2 = 0; index2 < 4; index2++) if (this.enabled(index2, Condition.execute)) return true;
    return false;
  }
  /** DR6 bits of the instruction breakpoints at a linear address; 0 for none. EFLAGS.RF is the caller's to ask. */
  executionHits(linear) {
    let hits = 0;
    for (let index2 = 0; index2 < 4; index2++)
      if (this.enabled(index2, Condition.execute) && this.address(index2) === linear) hits |= 1 << index2;
    return hits;
  }
  watches(linearLow, linearHigh) {
    const page = BigInt(linearHigh >>> 0) << 20n | BigInt(linearLow >>> 12);
    let kinds = 0;
    for (let index2 = 0; index2 < 4; index2++) {
      if (this.address(index2) >> 12n !== page) continue;
      if (this.enabled(index2, Condition.write)) kinds |= WatchedFor.writes;
      if (this.enabled(index2, Condition.readWrite)) kinds |= WatchedFor.reads | WatchedFor.writes;
    }
    return kinds;
  }
  accessed(access) {
    const end = access.linear + BigInt(access.size);
    for (let index2 = 0; index2 < 4; index2++) {
      const watched = this.enabled(index2, Condition.readWrite) || access.write && this.enabled(index2, Condition.write);
      if (!watched) continue;
      const start = this.address(index2);
      if (access.linear < start + BigInt(this.length(index2)) && start < end) this.requestTrap(1 << index2);
    }
  }
  /** An access to `size` I/O ports (SDM Vol. 3B §17.2.4: needs CR4.DE). */
  portAccessed(port, size) {
    const { state } = this.core;
    if ((state.cr4 & Cr4.DE) === 0) return;
    for (let index2 = 0; index2 < 4; index2++) {
      if (!this.enabled(index2, Condition.io)) continue;
      const start = Number(this.address(index2));
      if (port < start + this.length(index2) && start < port + size) this.requestTrap(1 << index2);
    }
  }
  /** A debug trap with these DR6 bits is due after the current instruction. */
  requestTrap(bits2) {
    this.core.state.i32[Internal.pendingDebug >> 2] |= bits2;
  }
  /** The #DB with these DR6 bits, to be delivered: DR6 is set (SDM Vol. 3B §17.2.3). */
  raise(bits2) {
    const { state } = this.core;
    state.i32[State.dr + 6 * 8 >> 2] |= bits2;
    return new Fault(Vector.debug);
  }
  /** Number of a debug register as the instruction means it. @throws {Fault} #UD, #GP(0), #DB */
  resolve(number) {
    const { state } = this.core;
    let register = number;
    if (register > 7) throw new Fault(Vector.invalidOpcode);
    if (register === 4 || register === 5) {
      if (state.cr4 & Cr4.DE) throw new Fault(Vector.invalidOpcode);
      register += 2;
    }
    if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
    if (state.i32[DR7] & DR7_GD) throw this.raise(Dr6.BD);
    return register;
  }
  moveFromDebug = (record) => {
    const { state, operands } = this.core;
    const at = (State.dr >> 2) + this.resolve(operands.register(record, 1)) * 2;
    const size = state.mode64 ? 8 : 4;
    operands.writeRegister(operands.register(record, 0), size, state.i32[at], state.i32[at + 1]);
    return this.core.proceed(record);
  };
  moveToDebug = (record) => {
    const { state, operands } = this.core;
    const register = this.resolve(operands.register(record, 0));
    const size = state.mode64 ? 8 : 4;
    const low2 = operands.readRegister(operands.register(record, 1), size);
    const high2 = size === 8 ? operands.high : 0;
    if (register >= 6 && high2 !== 0) throw new Fault(Vector.generalProtection, 0);
    this.write(register, low2, high2);
    return operands.advance(record, this.core.leave());
  };
  /** Writes DR0 to DR3, DR6 or DR7 with its fixed bits, and follows up. */
  write(register, low2, high2) {
    const { state } = this.core;
    const at = (State.dr >> 2) + register * 2;
    if (register === 6) low2 = low2 & DR6_WRITABLE | DR6_ONES;
    if (register === 7) low2 = low2 & DR7_WRITABLE | DR7_ONES;
    state.i32[at] = low2;
    state.i32[at + 1] = high2;
    this.onDataBreakpoints(this.hasDataBreakpoints);
  }
};

// emulator/cpu/descriptor-instructions.ts
var LAR_TYPES = [1, 2, 3, 4, 5, 9, 11, 12];
var LAR_TYPES_LONG = [2, 9, 11, 12];
var LSL_TYPES = [1, 2, 3, 9, 11];
var LSL_TYPES_LONG = [2, 9, 11];
function descriptorInstructions(core) {
  const { state, segmentation, operands, memory } = core;
  const requireProtected = () => {
    if (!state.protectedMode || state.virtual8086) throw new Fault(Vector.invalidOpcode);
  };
  const requireCpl0 = () => {
    if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
  };
  const setZero2 = (set) => core.flags.writeEflags(set ? Eflags.ZF : 0, Eflags.ZF);
  const visible = (selector, systemTypes) => {
    if ((selector & ~3) === 0) return void 0;
    const descriptor = segmentation.find(selector);
    if (!descriptor) return void 0;
    if (descriptor.isSystem && !systemTypes.includes(descriptor.type)) return void 0;
    const conforming = descriptor.isCode && descriptor.isConforming;
    if (!conforming && (descriptor.dpl < state.cpl || descriptor.dpl < (selector & 3))) return void 0;
    return descriptor;
  };
  const verify = (writing) => {
    return (record) => {
      requireProtected();
      const descriptor = visible(operands.readRm(record, 0, 2), []);
      setZero2(descriptor !== void 0 && (writing ? descriptor.isWritableData : descriptor.isReadable));
      return Outcome.next;
    };
  };
  const load3 = (base, limit) => {
    return (record, size) => {
      requireCpl0();
      const { mode64 } = state;
      const newLimit = operands.readMemory(record, 2);
      let low2 = operands.readMemory(record, mode64 ? 8 : 4, 2);
      const high2 = mode64 ? operands.high : 0;
      if (!mode64 && size === 2) low2 &= 16777215;
      if (!isCanonical(high2)) throw new Fault(Vector.generalProtection, 0);
      state.i32[base >> 2] = low2;
      state.i32[(base >> 2) + 1] = high2;
      state.i32[limit >> 2] = newLimit;
      return Outcome.next;
    };
  };
  const store4 = (base, limit) => {
    return (record) => {
      const wide = state.mode64;
      operands.locate(record);
      const segment = operands.segmentOf(record);
      memory.probeWrite(segment, operands.offsetLow, operands.offsetHigh, wide ? 10 : 6);
      operands.writeMemory(record, 2, state.i32[limit >> 2]);
      const high2 = state.i32[(base >> 2) + 1];
      operands.writeMemory(record, wide ? 8 : 4, state.i32[base >> 2], high2, 2);
      return Outcome.next;
    };
  };
  const storeSelector = (segment) => {
    return (record, size) => {
      requireProtected();
      const selector = state.selector(segment);
      if (operands.isMemory(record)) operands.writeMemory(record, 2, selector);
      else operands.writeRegister(operands.register(record, 0), size, selector);
      return Outcome.next;
    };
  };
  return {
    lar(record, size) {
      requireProtected();
      const selector = operands.readRm(record, 1, 2);
      const descriptor = visible(selector, state.longMode ? LAR_TYPES_LONG : LAR_TYPES);
      if (descriptor) {
        const rights = descriptor.high & (size === 2 ? 65280 : 16776960);
        operands.writeRegister(operands.register(record, 0), size, rights & ~983040);
      }
      setZero2(descriptor !== void 0);
      return Outcome.next;
    },
    lsl(record, size) {
      requireProtected();
      const selector = operands.readRm(record, 1, 2);
      const descriptor = visible(selector, state.longMode ? LSL_TYPES_LONG : LSL_TYPES);
      if (descriptor) operands.writeRegister(operands.register(record, 0), size, descriptor.limit);
      setZero2(descriptor !== void 0);
      return Outcome.next;
    },
    verr: verify(false),
    verw: verify(true),
    arpl(record) {
      requireProtected();
      const destination = operands.readRm(record, 0, 2);
      const rpl = operands.readRegister(operands.register(record, 1), 2) & 3;
      const raise = (destination & 3) < rpl;
      if (raise) operands.writeRm(record, 0, 2, destination & ~3 | rpl);
      setZero2(raise);
      return Outcome.next;
    },
    lgdt: load3(State.gdtrBase, State.gdtrLimit),
    lidt: load3(State.idtrBase, State.idtrLimit),
    sgdt: store4(State.gdtrBase, State.gdtrLimit),
    sidt: store4(State.idtrBase, State.idtrLimit),
    sldt: storeSelector(Segment.ldtr),
    str: storeSelector(Segment.tr),
    lldt(record) {
      requireProtected();
      requireCpl0();
      segmentation.loadLdtr(operands.readRm(record, 0, 2));
      return Outcome.next;
    },
    ltr(record) {
      requireProtected();
      requireCpl0();
      const selector = operands.readRm(record, 0, 2);
      if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
      if (selector & 4) throw selectorFault(Vector.generalProtection, selector);
      let descriptor = segmentation.read(selector);
      const { type } = descriptor;
      const available = type === SystemType.availableTss || type === SystemType.availableTss16 && !state.longMode;
      if (!descriptor.isSystem || !available) throw selectorFault(Vector.generalProtection, selector);
      if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
      descriptor = segmentation.readUpper(selector, descriptor);
      if (!isCanonical(descriptor.upper)) throw selectorFault(Vector.generalProtection, selector);
      segmentation.setBusy(selector, true);
      const { access, baseLow, upper, limit } = descriptor;
      state.setSegment(Segment.tr, selector, access | 2, baseLow, upper, limit);
      return Outcome.next;
    }
  };
}

// emulator/cpu/privilege-return.ts
function readReturnCode(core, selector) {
  if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
  const code = core.segmentation.read(selector);
  const rpl = selector & 3;
  const privilege = code.isConforming ? code.dpl <= rpl : code.dpl === rpl;
  if (!code.isCode || rpl < core.state.cpl || !privilege) throw selectorFault(Vector.generalProtection, selector);
  if (core.state.longMode && code.isLong && code.isBig) throw selectorFault(Vector.generalProtection, selector);
  if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
  return code;
}
function readReturnStack(core, selector, cpl, toLong) {
  if ((selector & ~3) === 0) {
    if (!toLong || cpl === 3 || (selector & 3) !== cpl) throw new Fault(Vector.generalProtection, 0);
    return void 0;
  }
  return core.segmentation.readStack(selector, cpl, Vector.generalProtection);
}
function checkTarget(core, code, low2, high2) {
  if (core.state.longMode && code.isLong) {
    if (!isCanonical(high2)) throw new Fault(Vector.generalProtection, 0);
  } else if (low2 >>> 0 > code.limit) throw new Fault(Vector.generalProtection, 0);
}
function commitReturn(core, codeSelector, code, stackSelector, stack) {
  const { state, segmentation } = core;
  segmentation.prepare(codeSelector, code);
  if (stackSelector !== void 0) segmentation.prepare(stackSelector, stack);
  segmentation.commit(Segment.cs, codeSelector, code);
  if (stackSelector !== void 0) {
    if (stack) segmentation.commit(Segment.ss, stackSelector, stack);
    else segmentation.commitNullStack(stackSelector);
  }
  state.cpl = codeSelector & 3;
  state.updateMode();
}

// emulator/cpu/stack-frame.ts
var StackFrame = class {
  /**
   * @param wide 64-bit stack: no segment.
   * @param faultSelector error code of #SS when there is no room.
   */
  constructor(memory, wide, access, base, limit, cpl, faultSelector) {
    this.memory = memory;
    this.wide = wide;
    this.access = access;
    this.base = base;
    this.limit = limit;
    this.cpl = cpl;
    this.faultSelector = faultSelector;
  }
  memory;
  wide;
  access;
  base;
  limit;
  cpl;
  faultSelector;
  /** The stack pointer as it stands. */
  low = 0;
  high = 0;
  /** Pushes `size` bytes. @throws {Fault} #SS without room or not canonical, #PF. */
  push(size, value, high2 = 0) {
    const rights = this.cpl === 3 ? PageAccess.user : 0;
    if (this.wide) {
      const low2 = (this.low >>> 0) - size | 0;
      const upper = this.low >>> 0 < size ? this.high - 1 | 0 : this.high;
      if (!isCanonical(upper)) throw new Fault(Vector.stackFault, this.faultSelector);
      this.memory.writeLinear(low2, upper, size, value, high2, rights);
      this.low = low2;
      this.high = upper;
      return;
    }
    const mask2 = this.access & Access.DB ? 4294967295 : 65535;
    const offset = (this.low - size & mask2) >>> 0;
    const last = offset + size - 1;
    const inside2 = this.access & Access.expandDown ? offset > this.limit && last <= mask2 >>> 0 : last <= this.limit || this.limit === 4294967295;
    if (!inside2) throw new Fault(Vector.stackFault, this.faultSelector);
    this.memory.writeLinear(this.base + offset | 0, 0, size, value, high2, rights);
    this.low = mask2 === 65535 ? this.low & ~65535 | offset : offset | 0;
  }
};

// emulator/cpu/far-transfer.ts
var FarTransfer = class {
  constructor(core, tasks, interrupts) {
    this.core = core;
    this.tasks = tasks;
    this.interrupts = interrupts;
  }
  core;
  tasks;
  interrupts;
  jumpFar = (record, size) => this.jump(record, this.direct(record, size));
  jumpFarMemory = (record, size) => this.jump(record, this.indirect(record, size));
  callFar = (record, size) => this.call(record, this.direct(record, size), size);
  callFarMemory = (record, size) => this.call(record, this.indirect(record, size), size);
  /** ptr16:16 and ptr16:32: the selector lies in the displacement field. */
  direct(record, size) {
    const { operands, state } = this.core;
    const offset = operands.immediate(record);
    const selector = state.i32[record + Record.displacement >> 2] & 65535;
    return { selector, low: size === 2 ? offset & 65535 : offset, high: 0 };
  }
  /** m16:16, m16:32 and m16:64. */
  indirect(record, size) {
    const { operands } = this.core;
    const low2 = operands.readMemory(record, size) | 0;
    const high2 = size === 8 ? operands.high : 0;
    return { selector: operands.readMemory(record, 2, size), low: low2, high: high2 };
  }
  get flat() {
    const { state } = this.core;
    return !state.protectedMode || state.virtual8086;
  }
  jump(record, target) {
    const { core } = this;
    const { state, segmentation } = core;
    const { selector, low: low2, high: high2 } = target;
    if (this.flat) {
      if (low2 >>> 0 > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
      segmentation.loadRealMode(Segment.cs, selector);
      state.setRip(low2, 0);
      state.updateMode();
      return core.leave();
    }
    const descriptor = this.readTarget(selector);
    if (!descriptor.isSystem) {
      this.checkDirect(selector, descriptor);
      checkTarget(core, descriptor, low2, high2);
      this.enter(selector, descriptor, low2, high2);
      return core.leave();
    }
    this.checkGate(selector, descriptor);
    if (this.isCallGate(descriptor)) {
      const gate = this.readCallGate(selector, descriptor);
      const code = this.readGateCode(gate);
      const privilege = code.isConforming ? code.dpl <= state.cpl : code.dpl === state.cpl;
      if (!privilege) throw selectorFault(Vector.generalProtection, gate.gateSelector);
      const offset = this.gateTarget(gate, code);
      this.enter(gate.gateSelector, code, offset, gate.upper);
      return core.leave();
    }
    return this.switchTask(record, selector, descriptor, "jump");
  }
  call(record, target, size) {
    const { core } = this;
    const { state, segmentation, operands } = core;
    const { selector, low: low2, high: high2 } = target;
    const nextLow = operands.nextRip(record);
    const nextHigh = operands.high;
    const pushReturn = (width2) => {
      operands.pokeStack(-width2, width2, state.selector(Segment.cs));
      operands.pokeStack(-2 * width2, width2, nextLow, nextHigh);
    };
    if (this.flat) {
      if (low2 >>> 0 > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
      pushReturn(size);
      operands.moveStack(-2 * size);
      segmentation.loadRealMode(Segment.cs, selector);
      state.setRip(low2, 0);
      state.updateMode();
      return core.leave();
    }
    const descriptor = this.readTarget(selector);
    if (!descriptor.isSystem) {
      this.checkDirect(selector, descriptor);
      checkTarget(core, descriptor, low2, high2);
      segmentation.prepare(selector, descriptor);
      pushReturn(size);
      operands.moveStack(-2 * size);
      this.enter(selector, descriptor, low2, high2);
      return core.leave();
    }
    this.checkGate(selector, descriptor);
    if (!this.isCallGate(descriptor)) return this.switchTask(record, selector, descriptor, "call");
    const gate = this.readCallGate(selector, descriptor);
    const code = this.readGateCode(gate);
    if (code.dpl > state.cpl) throw selectorFault(Vector.generalProtection, gate.gateSelector);
    const width = state.longMode ? 8 : gate.type & 8 ? 4 : 2;
    const offset = this.gateTarget(gate, code);
    if (!code.isConforming && code.dpl < state.cpl) {
      this.callInner(gate, code, width, offset, nextLow, nextHigh);
      return core.leave();
    }
    segmentation.prepare(gate.gateSelector, code);
    pushReturn(width);
    operands.moveStack(-2 * width);
    this.enter(gate.gateSelector, code, offset, gate.upper);
    return core.leave();
  }
  /** A call through a gate to an inner privilege level, on the stack that the TSS gives (SDM Vol. 3A §5.8.5). */
  callInner(gate, code, width, offset, nextLow, nextHigh) {
    const { core, interrupts } = this;
    const { state, memory, segmentation, operands } = core;
    const cpl = code.dpl;
    const oldLow = state.gpr32(4);
    const oldHigh = Number(BigInt.asIntN(32, state.gpr64(4) >> 32n));
    let frame;
    let stack;
    let selector = cpl;
    if (state.longMode) {
      frame = new StackFrame(memory, true, 0, 0, 0, cpl, 0);
      [frame.low, frame.high] = interrupts.innerStack64(cpl, 0);
      if (!isCanonical(frame.high)) throw new Fault(Vector.stackFault, 0);
    } else {
      const pointer = interrupts.innerStack(cpl);
      selector = pointer.selector;
      if ((selector & ~3) === 0) throw new Fault(Vector.invalidTss, 0);
      stack = segmentation.readStack(selector, cpl, Vector.invalidTss);
      frame = new StackFrame(memory, false, stack.access, stack.baseLow, stack.limit, cpl, selector & 65532);
      frame.low = pointer.esp;
    }
    const parameters = [];
    if (!state.longMode)
      for (let index2 = 0; index2 < gate.gateParameters; index2++)
        parameters.push(operands.peekStack(index2 * width, width));
    frame.push(width, state.selector(Segment.ss));
    frame.push(width, oldLow, oldHigh);
    for (const parameter of parameters.reverse()) frame.push(width, parameter);
    frame.push(width, state.selector(Segment.cs));
    frame.push(width, nextLow, nextHigh);
    segmentation.prepare(gate.gateSelector, code);
    segmentation.prepare(selector, stack);
    state.cpl = cpl;
    if (stack) segmentation.commit(Segment.ss, selector, stack);
    else segmentation.commitNullStack(selector);
    state.i32[STACK_POINTER2] = frame.low;
    state.i32[STACK_POINTER2 + 1] = frame.high;
    this.enter(gate.gateSelector, code, offset, gate.upper);
  }
  /** RET far; the immediate is the number of bytes to release. */
  returnFar = (record, size) => {
    const { core } = this;
    const { state, operands, segmentation } = core;
    const release = operands.immediate(record) & 65535;
    const low2 = operands.peekStack(0, size) | 0;
    const high2 = size === 8 ? operands.high : 0;
    const selector = operands.peekStack(size, size) & 65535;
    if (this.flat) {
      if (low2 >>> 0 > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
      operands.moveStack(2 * size + release);
      segmentation.loadRealMode(Segment.cs, selector);
      state.setRip(low2, 0);
      state.updateMode();
      return core.leave();
    }
    const code = readReturnCode(core, selector);
    const toLong = state.longMode && code.isLong;
    if ((selector & 3) > state.cpl) {
      const spLow = operands.peekStack(2 * size + release, size) | 0;
      const spHigh = size === 8 ? operands.high : 0;
      const ss = operands.peekStack(3 * size + release, size) & 65535;
      const stack = readReturnStack(core, ss, selector & 3, toLong);
      checkTarget(core, code, low2, high2);
      commitReturn(core, selector, code, ss, stack);
      operands.setStack(spLow, spHigh);
      operands.moveStack(release);
      segmentation.dropInnerSegments(selector & 3);
    } else {
      checkTarget(core, code, low2, high2);
      commitReturn(core, selector, code);
      operands.moveStack(2 * size + release);
    }
    state.setRip(low2, toLong ? high2 : 0);
    return core.leave();
  };
  readTarget(selector) {
    if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
    return this.core.segmentation.read(selector);
  }
  /** A code segment that is named directly: no change of privilege (SDM Vol. 3A §5.8.1). */
  checkDirect(selector, code) {
    const { cpl, longMode } = this.core.state;
    const allowed = code.isConforming ? code.dpl <= cpl : (selector & 3) <= cpl && code.dpl === cpl;
    if (!code.isCode || !allowed || longMode && code.isLong && code.isBig)
      throw selectorFault(Vector.generalProtection, selector);
    if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
  }
  /** Type and privilege of a gate or TSS that is named by the instruction. */
  checkGate(selector, descriptor) {
    const { cpl, longMode } = this.core.state;
    const { type } = descriptor;
    const known = longMode ? type === SystemType.callGate : type === SystemType.callGate || type === SystemType.callGate16 || type === SystemType.taskGate || type === SystemType.availableTss || type === SystemType.availableTss16;
    if (!known || descriptor.dpl < cpl || (selector & 3) > descriptor.dpl)
      throw selectorFault(Vector.generalProtection, selector);
    if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
  }
  isCallGate(descriptor) {
    return descriptor.type === SystemType.callGate || descriptor.type === SystemType.callGate16;
  }
  readCallGate(selector, descriptor) {
    return this.core.segmentation.readUpper(selector, descriptor);
  }
  readGateCode(gate) {
    const selector = gate.gateSelector;
    if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
    const code = this.core.segmentation.read(selector);
    if (!code.isCode || this.core.state.longMode && (!code.isLong || code.isBig))
      throw selectorFault(Vector.generalProtection, selector);
    if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
    return code;
  }
  gateTarget(gate, code) {
    const offset = gate.type & 8 ? gate.gateOffset | 0 : gate.gateOffset & 65535;
    checkTarget(this.core, code, offset, gate.upper);
    return offset;
  }
  /** Loads CS with RPL = CPL, and RIP. */
  enter(selector, code, low2, high2) {
    const { state, segmentation } = this.core;
    segmentation.commit(Segment.cs, selector & ~3 | state.cpl, code);
    state.setRip(low2, state.longMode && code.isLong ? high2 : 0);
    state.updateMode();
  }
  switchTask(record, selector, descriptor, source) {
    const tss = descriptor.type === SystemType.taskGate ? descriptor.gateSelector : selector;
    this.tasks.switchTo(tss, this.tasks.findAvailable(tss), source, this.core.operands.nextRip(record));
    return this.core.leave();
  }
};
var STACK_POINTER2 = 4 * 2;

// emulator/cpu/flags-instructions.ts
function flagsInstructions(core) {
  const { state, operands } = core;
  const fault = () => new Fault(Vector.generalProtection, 0);
  const interruptFlag = () => {
    if (!state.protectedMode) return Eflags.IF;
    if (state.virtual8086) {
      if (state.iopl === 3) return Eflags.IF;
      if (state.cr4 & Cr4.VME) return Eflags.VIF;
      throw fault();
    }
    if (state.cpl <= state.iopl) return Eflags.IF;
    if (state.cr4 & Cr4.PVI && state.cpl === 3) return Eflags.VIF;
    throw fault();
  };
  const alignmentFlag = (set) => {
    return (record) => {
      if (state.cpl !== 0 || (state.cr4 & Cr4.SMAP) === 0) throw new Fault(Vector.invalidOpcode);
      core.writeEflags(set ? Eflags.AC : 0, Eflags.AC);
      return core.proceed(record);
    };
  };
  return {
    cli() {
      core.flags.writeEflags(0, interruptFlag());
      return Outcome.next;
    },
    sti(record) {
      const flag = interruptFlag();
      if (flag === Eflags.VIF && state.flagsRest & Eflags.VIP) throw fault();
      const wasClear = (state.flagsRest & flag) === 0;
      core.flags.writeEflags(flag, flag);
      if (flag === Eflags.IF && wasClear) core.beginInterruptShadow();
      return core.proceed(record);
    },
    pushf(_record, size) {
      let flags = core.readEflags() & ~(Eflags.VM | Eflags.RF);
      if (state.virtual8086 && state.iopl < 3) {
        if (!(state.cr4 & Cr4.VME) || size !== 2) throw fault();
        flags = flags & ~Eflags.IF | Eflags.IOPL | (flags & Eflags.VIF ? Eflags.IF : 0);
      }
      operands.push(size, flags);
      return Outcome.next;
    },
    popf(record, size) {
      const virtualInterrupts = state.virtual8086 && state.iopl < 3;
      if (virtualInterrupts && (!(state.cr4 & Cr4.VME) || size !== 2)) throw fault();
      const flags = operands.peekStack(0, size) | 0;
      let mask2 = Eflags.arithmetic | Eflags.TF | Eflags.DF | Eflags.NT;
      let value = flags;
      if (virtualInterrupts) {
        if (flags & Eflags.TF || flags & Eflags.IF && state.flagsRest & Eflags.VIP) throw fault();
        value = flags & ~Eflags.VIF | (flags & Eflags.IF ? Eflags.VIF : 0);
        mask2 |= Eflags.VIF;
      } else {
        if (state.cpl <= state.iopl) mask2 |= Eflags.IF;
        if (state.cpl === 0) mask2 |= Eflags.IOPL;
        if (size >= 4) {
          mask2 |= Eflags.AC | Eflags.ID | Eflags.RF;
          value &= ~Eflags.RF;
        }
      }
      operands.moveStack(size);
      core.writeEflags(value, mask2);
      return core.proceed(record);
    },
    stac: alignmentFlag(true),
    clac: alignmentFlag(false)
  };
}

// emulator/isa/x87/forms.ts
var ArithmeticOperation = { add: 0, mul: 1, com: 2, comp: 3, sub: 4, subr: 5, div: 6, divr: 7 };
var ArithmeticForm = {
  /** ST(0) is the destination, ST(i) the source. */
  toTop: 0,
  /** ST(i) is the destination, ST(0) the source. */
  toRegister: 1,
  /** The same, then the stack is popped. */
  toRegisterPop: 2,
  single: 3,
  double: 4,
  integer16: 5,
  integer32: 6
};
var DataFormat = {
  single: 0,
  double: 1,
  extended: 2,
  integer16: 3,
  integer32: 4,
  integer64: 5,
  decimal: 6,
  register: 7
};
var StoreFlag = { pop: 16, truncate: 32 };
var CompareFlag = { quiet: 1, pop: 2, popTwice: 4, toEflags: 8, withZero: 16 };
var constantMnemonics = ["Fld1", "Fldl2t", "Fldl2e", "Fldpi", "Fldlg2", "Fldln2", "Fldz"];
var ImageFlag = { wide: 1, registers: 2, rexW: 4 };

// emulator/cpu/floating-point/binary-float.ts
var Flag = {
  invalid: 1,
  denormal: 2,
  zeroDivide: 4,
  overflow: 8,
  underflow: 16,
  inexact: 32,
  all: 63,
  /** x87 only. */
  stackFault: 64
};
var Rounding = { nearest: 0, down: 1, up: 2, zero: 3 };
var single = { precision: 24, minExponent: -126, maxExponent: 127 };
var double = { precision: 53, minExponent: -1022, maxExponent: 1023 };
var extended = { precision: 64, minExponent: -16382, maxExponent: 16383 };
var Kind = { zero: 0, finite: 1, infinity: 2, quietNan: 3, signalingNan: 4, unsupported: 5 };
function isNan(value) {
  return value.kind === Kind.quietNan || value.kind === Kind.signalingNan;
}
function zero(negative) {
  return { kind: Kind.zero, negative, exponent: 0, significand: 0n, denormal: false };
}
function infinity(negative) {
  return { kind: Kind.infinity, negative, exponent: 0, significand: 0n, denormal: false };
}
function finite(negative, significand, exponent, denormal = false) {
  return { kind: Kind.finite, negative, exponent, significand, denormal };
}
var defaultNan = {
  kind: Kind.quietNan,
  negative: true,
  exponent: 0,
  significand: 0xc000000000000000n,
  denormal: false
};
function quieted(value) {
  return { ...value, kind: Kind.quietNan, significand: value.significand | 0x4000000000000000n };
}
function bitLength(value) {
  let length = 0;
  let rest = value;
  while (rest > 0xffffffffffffffffn) {
    const more = rest > 1n << 512n ? 448 : 64;
    rest >>= BigInt(more);
    length += more;
  }
  const high2 = Number(rest >> 32n);
  if (high2 !== 0) return length + 64 - Math.clz32(high2);
  return length + 32 - Math.clz32(Number(rest));
}
function shiftRightJamming(value, shift3) {
  if (shift3 <= 0) return value << BigInt(-shift3);
  const count = BigInt(shift3);
  const result = value >> count;
  return result << count === value ? result : result | 1n;
}
function shorten(negative, significand, shift3, rounding) {
  if (shift3 <= 0) return { significand: significand << BigInt(-shift3), inexact: false, up: false };
  const count = BigInt(shift3);
  const kept = significand >> count;
  const rest = significand - (kept << count);
  if (rest === 0n) return { significand: kept, inexact: false, up: false };
  let up;
  if (rounding === Rounding.nearest) {
    const half2 = 1n << count - 1n;
    up = rest > half2 || rest === half2 && (kept & 1n) === 1n;
  } else up = rounding === (negative ? Rounding.down : Rounding.up);
  return { significand: up ? kept + 1n : kept, inexact: true, up };
}
function round(negative, significand, exponent, format, rounding) {
  const { precision, minExponent, maxExponent } = format;
  const length = bitLength(significand);
  const first = shorten(negative, significand, length - precision, rounding);
  const firstExponent = exponent + length - precision;
  const unbounded = finite(negative, first.significand, firstExponent);
  const leading = firstExponent + bitLength(first.significand) - 1;
  const wide = { unbounded, unboundedInexact: first.inexact, unboundedUp: first.up };
  if (leading > maxExponent) {
    const toInfinity = rounding === Rounding.nearest || rounding === (negative ? Rounding.down : Rounding.up);
    const largest = finite(negative, (1n << BigInt(precision)) - 1n, maxExponent - precision + 1);
    const value2 = toInfinity ? infinity(negative) : largest;
    return { value: value2, flags: Flag.overflow | Flag.inexact, up: toInfinity, tiny: false, ...wide };
  }
  if (leading >= minExponent)
    return { value: unbounded, flags: first.inexact ? Flag.inexact : 0, up: first.up, tiny: false, ...wide };
  const leastExponent = minExponent - precision + 1;
  const second2 = shorten(negative, significand, leastExponent - exponent, rounding);
  const value = second2.significand === 0n ? zero(negative) : finite(negative, second2.significand, leastExponent);
  const flags = second2.inexact ? Flag.underflow | Flag.inexact : 0;
  return { value, flags, up: second2.up, tiny: true, ...wide };
}
function roundToInteger(value, rounding) {
  const { negative, significand, exponent } = value;
  const bounded = Math.max(exponent, -bitLength(significand) - 2);
  const { significand: integer, inexact: inexact2, up } = shorten(negative, significand, -bounded, rounding);
  return { integer, inexact: inexact2, up };
}

// emulator/cpu/floating-point/exact-arithmetic.ts
var GUARD = 136;
function addExact(a, b, subtract3) {
  const bNegative = b.negative !== subtract3;
  let exponent = Math.min(a.exponent, b.exponent);
  const aTop = a.exponent + bitLength(a.significand);
  const bTop = b.exponent + bitLength(b.significand);
  if (Math.max(aTop, bTop) - exponent > 2 * GUARD) exponent = Math.max(aTop, bTop) - 2 * GUARD;
  const aligned = (value) => shiftRightJamming(value.significand, exponent - value.exponent);
  const x = a.negative ? -aligned(a) : aligned(a);
  const y = bNegative ? -aligned(b) : aligned(b);
  const sum = x + y;
  return { negative: sum < 0n, significand: sum < 0n ? -sum : sum, exponent };
}
function multiplyExact(a, b) {
  return {
    negative: a.negative !== b.negative,
    significand: a.significand * b.significand,
    exponent: a.exponent + b.exponent
  };
}
function divideExact(a, b) {
  const shift3 = Math.max(0, GUARD / 2 + bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift3);
  const quotient = dividend / b.significand;
  const exact = quotient * b.significand === dividend;
  return {
    negative: a.negative !== b.negative,
    significand: quotient << 1n | (exact ? 0n : 1n),
    exponent: a.exponent - b.exponent - shift3 - 1
  };
}
function integerSquareRoot(value) {
  if (value < 2n) return value;
  let root = 1n << BigInt(bitLength(value) + 1 >> 1);
  for (; ; ) {
    const next = root + value / root >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
function squareRootExact(a) {
  let shift3 = Math.max(0, GUARD + 8 - bitLength(a.significand));
  if (a.exponent - shift3 & 1) shift3++;
  const radicand = a.significand << BigInt(shift3);
  const root = integerSquareRoot(radicand);
  return {
    negative: false,
    significand: root << 1n | (root * root === radicand ? 0n : 1n),
    exponent: (a.exponent - shift3) / 2 - 1
  };
}

// emulator/cpu/floating-point/extended.ts
var INTEGER_BIT = 1n << 63n;
var QUIET_BIT = 1n << 62n;
var BIAS = 16383;
var LEAST_EXPONENT = 1 - BIAS - 63;
var WRAP = 24576;
function unpackExtended(value) {
  const negative = (value.high & 32768) !== 0;
  const field = value.high & 32767;
  const significand = value.low;
  const hasInteger = (significand & INTEGER_BIT) !== 0n;
  if (field === 0) {
    if (significand === 0n) return zero(negative);
    return finite(negative, significand, LEAST_EXPONENT, true);
  }
  if (!hasInteger) return { kind: Kind.unsupported, negative, exponent: 0, significand, denormal: false };
  if (field !== 32767) return finite(negative, significand, LEAST_EXPONENT + field - 1);
  if (significand === INTEGER_BIT) return infinity(negative);
  const kind = significand & QUIET_BIT ? Kind.quietNan : Kind.signalingNan;
  return { kind, negative, exponent: 0, significand, denormal: false };
}
function packExtended(value) {
  const sign2 = value.negative ? 32768 : 0;
  switch (value.kind) {
    case Kind.zero:
      return { high: sign2, low: 0n };
    case Kind.infinity:
      return { high: sign2 | 32767, low: INTEGER_BIT };
    case Kind.finite: {
      const leading = value.exponent + bitLength(value.significand) - 1;
      const exponent = Math.max(leading, 1 - BIAS) - 63;
      const shift3 = exponent - value.exponent;
      const low2 = shift3 > 0 ? value.significand >> BigInt(shift3) : value.significand << BigInt(-shift3);
      return { high: sign2 | (leading < 1 - BIAS ? 0 : leading + BIAS), low: low2 };
    }
    default:
      return { high: sign2 | 32767, low: value.significand };
  }
}
var indefinite = packExtended(defaultNan);
function precisionFormat(control) {
  const bits2 = control >> 8 & 3;
  const precision = bits2 === 0 ? single.precision : bits2 === 2 ? double.precision : extended.precision;
  return { ...extended, precision };
}
function roundingOf(control) {
  return control >> 10 & 3;
}
function invalid(control, flags = Flag.invalid) {
  return { value: control & Flag.invalid ? defaultNan : void 0, flags, up: false };
}
function exactResult(value, flags, control) {
  return { value: flags & ~control & Flag.all ? void 0 : value, flags, up: false };
}
function chooseNan(a, b) {
  if (!isNan(b)) return quieted(a);
  if (!isNan(a)) return quieted(b);
  if (a.kind === Kind.signalingNan && b.kind === Kind.quietNan) return b;
  if (b.kind === Kind.signalingNan && a.kind === Kind.quietNan) return a;
  if (a.significand !== b.significand) return quieted(a.significand > b.significand ? a : b);
  return quieted(a.negative ? b : a);
}
function nanResult(a, b, control) {
  if (a.kind === Kind.unsupported || b.kind === Kind.unsupported) return invalid(control);
  if (!isNan(a) && !isNan(b)) return void 0;
  const flags = a.kind === Kind.signalingNan || b.kind === Kind.signalingNan ? Flag.invalid : 0;
  return exactResult(chooseNan(a, b), flags, control);
}
function denormalFlag(a, b = a) {
  return a.denormal || b.denormal ? Flag.denormal : 0;
}
function roundResult(exact, control, flags, format = precisionFormat(control)) {
  if (flags & ~control & Flag.all) return { value: void 0, flags, up: false };
  const rounded = round(exact.negative, exact.significand, exact.exponent, format, roundingOf(control));
  return finishRegister(rounded, control, flags);
}
function finishRegister(rounded, control, flags) {
  const wrapped = rounded.flags & Flag.overflow ? -WRAP : WRAP;
  const overflowed = (rounded.flags & Flag.overflow) !== 0 && (control & Flag.overflow) === 0;
  const underflowed = rounded.tiny && (control & Flag.underflow) === 0;
  if (!overflowed && !underflowed) return { value: rounded.value, flags: flags | rounded.flags, up: rounded.up };
  const { unbounded } = rounded;
  const value = { ...unbounded, exponent: unbounded.exponent + wrapped };
  const kind = overflowed ? Flag.overflow : Flag.underflow;
  return {
    value,
    flags: flags | kind | (rounded.unboundedInexact ? Flag.inexact : 0),
    up: rounded.unboundedUp
  };
}
function add(a, b, subtract3, control) {
  const nan = nanResult(a, b, control);
  if (nan) return nan;
  const bNegative = b.negative !== subtract3;
  if (a.kind === Kind.infinity && b.kind === Kind.infinity && a.negative !== bNegative) return invalid(control);
  const flags = denormalFlag(a, b);
  if (a.kind === Kind.infinity) return exactResult(infinity(a.negative), flags, control);
  if (b.kind === Kind.infinity) return exactResult(infinity(bNegative), flags, control);
  const down = roundingOf(control) === 1;
  if (a.kind === Kind.zero && b.kind === Kind.zero)
    return exactResult(zero(a.negative === bNegative ? a.negative : down), flags, control);
  const exact = a.kind === Kind.zero ? { ...b, negative: bNegative } : b.kind === Kind.zero ? a : addExact(a, b, subtract3);
  if (exact.significand === 0n) return exactResult(zero(down), flags, control);
  return roundResult(exact, control, flags);
}
function multiply(a, b, control) {
  const nan = nanResult(a, b, control);
  if (nan) return nan;
  const negative = a.negative !== b.negative;
  const infinite = a.kind === Kind.infinity || b.kind === Kind.infinity;
  const zeros = a.kind === Kind.zero || b.kind === Kind.zero;
  if (infinite && zeros) return invalid(control);
  const flags = denormalFlag(a, b);
  if (infinite) return exactResult(infinity(negative), flags, control);
  if (zeros) return exactResult(zero(negative), flags, control);
  return roundResult(multiplyExact(a, b), control, flags);
}
function divide(a, b, control) {
  const nan = nanResult(a, b, control);
  if (nan) return nan;
  const negative = a.negative !== b.negative;
  if (a.kind === b.kind && (a.kind === Kind.zero || a.kind === Kind.infinity)) return invalid(control);
  const flags = denormalFlag(a, b);
  if (a.kind === Kind.infinity) return exactResult(infinity(negative), flags, control);
  if (b.kind === Kind.infinity) return exactResult(zero(negative), flags, control);
  if (b.kind === Kind.zero) return exactResult(infinity(negative), flags | Flag.zeroDivide, control);
  if (a.kind === Kind.zero) return exactResult(zero(negative), flags, control);
  return roundResult(divideExact(a, b), control, flags);
}
function squareRoot(a, control) {
  const nan = nanResult(a, a, control);
  if (nan) return nan;
  if (a.kind === Kind.zero) return exactResult(a, 0, control);
  if (a.negative) return invalid(control);
  if (a.kind === Kind.infinity) return exactResult(a, 0, control);
  return roundResult(squareRootExact(a), control, denormalFlag(a));
}
function compare(a, b) {
  if (isNan(a) || isNan(b) || a.kind === Kind.unsupported || b.kind === Kind.unsupported) return "unordered";
  const order = (x) => x.kind === Kind.zero ? 0 : x.negative ? -1 : 1;
  if (order(a) !== order(b)) return order(a) < order(b) ? "less" : "greater";
  if (order(a) === 0) return "equal";
  let magnitude;
  if (a.kind === Kind.infinity || b.kind === Kind.infinity)
    magnitude = (a.kind === Kind.infinity ? 1 : 0) - (b.kind === Kind.infinity ? 1 : 0);
  else {
    const aTop = a.exponent + bitLength(a.significand);
    const bTop = b.exponent + bitLength(b.significand);
    if (aTop !== bTop) magnitude = aTop - bTop;
    else {
      const common = Math.min(a.exponent, b.exponent);
      const x = a.significand << BigInt(a.exponent - common);
      const y = b.significand << BigInt(b.exponent - common);
      magnitude = x < y ? -1 : x > y ? 1 : 0;
    }
  }
  if (magnitude === 0) return "equal";
  return magnitude < 0 !== a.negative ? "less" : "greater";
}
function comparisonFlags(a, b, quiet) {
  if (a.kind === Kind.unsupported || b.kind === Kind.unsupported) return Flag.invalid;
  if (a.kind === Kind.signalingNan || b.kind === Kind.signalingNan) return Flag.invalid;
  if (isNan(a) || isNan(b)) return quiet ? 0 : Flag.invalid;
  return denormalFlag(a, b);
}

// emulator/cpu/floating-point/state-image.ts
var MXCSR_MASK = 65535;
var CR0_PE = 1;
var EFLAGS_VM = 131072;
var INITIAL_CONTROL = 895;
function fullTag(unit) {
  let tags = 0;
  for (let register = 0; register < 8; register++) {
    let tag2 = 3;
    if (unit.tag & 1 << register) {
      const value = unpackExtended(unit.physicalBits(register));
      tag2 = value.kind === Kind.zero ? 1 : value.kind === Kind.finite && !value.denormal ? 0 : 2;
    }
    tags |= tag2 << register * 2;
  }
  return tags;
}
function abridgedTag(tags) {
  let abridged = 0;
  for (let register = 0; register < 8; register++) if ((tags >> register * 2 & 3) !== 3) abridged |= 1 << register;
  return abridged;
}
function initialize(unit) {
  const { i32: i329, i64: i6410 } = unit.host.physical;
  unit.control = INITIAL_CONTROL;
  unit.status = 0;
  unit.tag = 0;
  i329[State.x87Opcode >> 2] = 0;
  i6410[State.x87InstructionPointer >> 3] = 0n;
  i6410[State.x87DataPointer >> 3] = 0n;
  i329[State.x87InstructionSelector >> 2] = 0;
  i329[State.x87DataSelector >> 2] = 0;
}
function hasLinearPointers(unit) {
  const { i32: i329 } = unit.host.physical;
  return (i329[State.cr0 >> 2] & CR0_PE) === 0 || (i329[State.flagsRest >> 2] & EFLAGS_VM) !== 0;
}
function environment(unit, wide) {
  const { i32: i329 } = unit.host.physical;
  const ip = i329[State.x87InstructionPointer >> 2] >>> 0;
  const dp = i329[State.x87DataPointer >> 2] >>> 0;
  const cs = i329[State.x87InstructionSelector >> 2] & 65535;
  const ds = i329[State.x87DataSelector >> 2] & 65535;
  const opcode = i329[State.x87Opcode >> 2] & 2047;
  const words2 = [unit.control, unit.status, fullTag(unit)];
  const bytes = new Uint8Array(wide ? 28 : 14);
  const view = new DataView(bytes.buffer);
  const linear = hasLinearPointers(unit);
  const linearIp = cs * 16 + ip;
  const linearDp = ds * 16 + dp;
  if (wide) {
    for (const [index2, word] of words2.entries()) view.setUint32(index2 * 4, word | 4294901760, true);
    if (linear) {
      view.setUint32(12, linearIp & 65535 | 4294901760, true);
      view.setUint32(16, linearIp >>> 16 << 12 | opcode, true);
      view.setUint32(20, linearDp & 65535 | 4294901760, true);
      view.setUint32(24, linearDp >>> 16 << 12, true);
    } else {
      view.setUint32(12, ip, true);
      view.setUint32(16, cs | opcode << 16, true);
      view.setUint32(20, dp, true);
      view.setUint32(24, ds | 4294901760, true);
    }
    return bytes;
  }
  const rest = linear ? [linearIp, linearIp >>> 4 & 61440 | opcode, linearDp, linearDp >>> 4 & 61440] : [ip, cs, dp, ds];
  for (const [index2, word] of [...words2, ...rest].entries()) view.setUint16(index2 * 2, word & 65535, true);
  return bytes;
}
function loadEnvironment(unit, bytes, wide) {
  const { i32: i329, i64: i6410 } = unit.host.physical;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const word = (index2) => view.getUint16(index2 * (wide ? 4 : 2), true);
  const status = word(1);
  const tags = word(2);
  let ip;
  let dp;
  let cs = 0;
  let ds = 0;
  if (hasLinearPointers(unit)) {
    const second2 = wide ? view.getUint32(16, true) : word(4);
    const fourth = wide ? view.getUint32(24, true) : word(6);
    ip = word(3) | (second2 & (wide ? 268431360 : 61440)) << 4;
    dp = word(5) | (fourth & (wide ? 268431360 : 61440)) << 4;
    i329[State.x87Opcode >> 2] = second2 & 2047;
  } else {
    ip = wide ? view.getUint32(12, true) : word(3);
    dp = wide ? view.getUint32(20, true) : word(5);
    cs = word(4);
    ds = word(6);
    if (wide) i329[State.x87Opcode >> 2] = view.getUint16(18, true) & 2047;
  }
  i6410[State.x87InstructionPointer >> 3] = BigInt(ip >>> 0);
  i6410[State.x87DataPointer >> 3] = BigInt(dp >>> 0);
  i329[State.x87InstructionSelector >> 2] = cs;
  i329[State.x87DataSelector >> 2] = ds;
  unit.tag = abridgedTag(tags);
  unit.status = status;
  unit.control = word(0);
}
function saveImage(unit, record, flags) {
  const head = environment(unit, (flags & ImageFlag.wide) !== 0);
  if ((flags & ImageFlag.registers) === 0) {
    unit.writeMemory(record, head);
    unit.control |= 63;
    return;
  }
  const bytes = new Uint8Array(head.length + 80);
  bytes.set(head);
  for (let index2 = 0; index2 < 8; index2++) bytes.set(registerBytes(unit, index2), head.length + index2 * 10);
  unit.writeMemory(record, bytes);
  initialize(unit);
}
function registerBytes(unit, index2) {
  const at = State.x87 + (unit.top + index2 & 7) * 16;
  return unit.u8.subarray(at, at + 10);
}
function setRegisterBytes(unit, index2, bytes) {
  unit.u8.set(bytes, State.x87 + (unit.top + index2 & 7) * 16);
}
function restoreImage(unit, record, flags) {
  const wide = (flags & ImageFlag.wide) !== 0;
  const head = wide ? 28 : 14;
  const withRegisters = (flags & ImageFlag.registers) !== 0;
  const bytes = unit.readMemory(record, withRegisters ? head + 80 : head);
  loadEnvironment(unit, bytes, wide);
  if (!withRegisters) return;
  for (let index2 = 0; index2 < 8; index2++)
    setRegisterBytes(unit, index2, bytes.subarray(head + index2 * 10, head + index2 * 10 + 10));
}
function xmmCount(unit) {
  return unit.host.physical.i32[State.codeSize >> 2] === 3 ? 16 : 8;
}
var XMM_OFFSET = 160;
function fxsave(unit, record, flags) {
  const { i32: i329, i64: i6410 } = unit.host.physical;
  const length = XMM_OFFSET + xmmCount(unit) * 16;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, unit.control, true);
  view.setUint16(2, unit.status, true);
  bytes[4] = unit.tag;
  view.setUint16(6, i329[State.x87Opcode >> 2], true);
  if (flags & ImageFlag.rexW) {
    view.setBigInt64(8, i6410[State.x87InstructionPointer >> 3], true);
    view.setBigInt64(16, i6410[State.x87DataPointer >> 3], true);
  } else {
    view.setInt32(8, i329[State.x87InstructionPointer >> 2], true);
    view.setUint16(12, i329[State.x87InstructionSelector >> 2], true);
    view.setInt32(16, i329[State.x87DataPointer >> 2], true);
    view.setUint16(20, i329[State.x87DataSelector >> 2], true);
  }
  view.setInt32(24, i329[State.mxcsr >> 2], true);
  view.setInt32(28, MXCSR_MASK, true);
  for (let index2 = 0; index2 < 8; index2++) bytes.set(registerBytes(unit, index2), 32 + index2 * 16);
  bytes.set(unit.u8.subarray(State.xmm, State.xmm + xmmCount(unit) * 16), XMM_OFFSET);
  unit.writeMemory(record, bytes);
}
function fxrstor(unit, record, flags) {
  const { i32: i329, i64: i6410 } = unit.host.physical;
  const bytes = unit.readMemory(record, 512);
  const view = new DataView(bytes.buffer);
  const mxcsr = view.getInt32(24, true);
  if (mxcsr & ~MXCSR_MASK) throw new Fault(Vector.generalProtection, 0);
  i329[State.mxcsr >> 2] = mxcsr;
  unit.status = view.getUint16(2, true);
  unit.tag = bytes[4];
  unit.control = view.getUint16(0, true);
  i329[State.x87Opcode >> 2] = view.getUint16(6, true) & 2047;
  if (flags & ImageFlag.rexW) {
    i6410[State.x87InstructionPointer >> 3] = view.getBigInt64(8, true);
    i6410[State.x87DataPointer >> 3] = view.getBigInt64(16, true);
    i329[State.x87InstructionSelector >> 2] = 0;
    i329[State.x87DataSelector >> 2] = 0;
  } else {
    i6410[State.x87InstructionPointer >> 3] = BigInt(view.getUint32(8, true));
    i6410[State.x87DataPointer >> 3] = BigInt(view.getUint32(16, true));
    i329[State.x87InstructionSelector >> 2] = view.getUint16(12, true);
    i329[State.x87DataSelector >> 2] = view.getUint16(20, true);
  }
  for (let index2 = 0; index2 < 8; index2++)
    setRegisterBytes(unit, index2, bytes.subarray(32 + index2 * 16, 32 + index2 * 16 + 10));
  unit.u8.set(bytes.subarray(XMM_OFFSET, XMM_OFFSET + xmmCount(unit) * 16), State.xmm);
}
function stateImageHelpers(unit) {
  const helper = (action) => (record, parameter) => {
    action(unit, record, parameter);
    return Outcome.next;
  };
  return {
    "x87:saveImage": helper(saveImage),
    "x87:restoreImage": helper(restoreImage),
    "x87:fxsave": helper(fxsave),
    "x87:fxrstor": helper(fxrstor),
    "x87:fldcw": (_record, _parameter) => {
      unit.control = unit.view.getUint16(State.exchange, true);
      return Outcome.next;
    }
  };
}

// emulator/cpu/floating-point/interchange.ts
function unpackBits(bits2, format, fractionBits, exponentBits) {
  const negative = (bits2 >> fractionBits + exponentBits & 1n) === 1n;
  const field = Number(bits2 >> fractionBits & (1n << exponentBits) - 1n);
  const fraction = bits2 & (1n << fractionBits) - 1n;
  if (field === 2 * format.maxExponent + 1) {
    if (fraction === 0n) return infinity(negative);
    const significand = 1n << 63n | fraction << 63n - fractionBits;
    const kind = significand & 1n << 62n ? Kind.quietNan : Kind.signalingNan;
    return { kind, negative, exponent: 0, significand, denormal: false };
  }
  const leastExponent = format.minExponent - format.precision + 1;
  if (field === 0) return fraction === 0n ? zero(negative) : finite(negative, fraction, leastExponent, true);
  return finite(negative, fraction | 1n << fractionBits, leastExponent + field - 1);
}
function packBits(value, format, fractionBits, exponentBits) {
  const sign2 = value.negative ? 1n << fractionBits + exponentBits : 0n;
  const largest = (1n << exponentBits) - 1n;
  if (value.kind === Kind.zero) return sign2;
  if (value.kind === Kind.infinity) return sign2 | largest << fractionBits;
  if (isNan(value)) {
    const fraction = (value.significand & 0x7fffffffffffffffn) >> 63n - fractionBits;
    return sign2 | largest << fractionBits | fraction;
  }
  const leading = value.exponent + bitLength(value.significand) - 1;
  const leastExponent = Math.max(leading, format.minExponent) - format.precision + 1;
  const shift3 = leastExponent - value.exponent;
  const significand = shift3 > 0 ? value.significand >> BigInt(shift3) : value.significand << BigInt(-shift3);
  if (leading < format.minExponent) return sign2 | significand;
  const field = BigInt(leading - format.minExponent + 1);
  return sign2 | field << fractionBits | significand & (1n << fractionBits) - 1n;
}
function unpackSingle(bits2) {
  return unpackBits(BigInt(bits2 >>> 0), single, 23n, 8n);
}
function packSingle(value) {
  return Number(packBits(value, single, 23n, 8n)) | 0;
}
function unpackDouble(bits2) {
  return unpackBits(BigInt.asUintN(64, bits2), double, 52n, 11n);
}
function packDouble(value) {
  return packBits(value, double, 52n, 11n);
}

// emulator/cpu/floating-point/x87-unit.ts
var Status = {
  errorSummary: 128,
  c0: 256,
  c1: 512,
  c2: 1024,
  topShift: 11,
  top: 14336,
  c3: 16384,
  busy: 32768
};
var CR0_NE = 32;
var CHUNK = 16;
var X87Unit = class {
  constructor(host) {
    this.host = host;
    const { physical } = host;
    this.records = new RecordReader(physical);
    this.i32 = physical.i32;
    this.i64 = physical.i64;
    this.u8 = physical.u8;
    this.view = physical.view;
  }
  host;
  records;
  i32;
  i64;
  u8;
  view;
  get control() {
    return this.i32[State.x87Control >> 2];
  }
  /** Sets the control word: reserved bits read as hardware gives them; ES follows the masks (SDM Vol. 1 §8.1.5, §8.3.3). */
  set control(value) {
    this.i32[State.x87Control >> 2] = value & 7999 | 64;
    this.summarize();
  }
  get status() {
    return this.i32[State.x87Status >> 2];
  }
  set status(value) {
    this.i32[State.x87Status >> 2] = value;
  }
  /** The abridged tag word: bit n set = physical register n is not empty. */
  get tag() {
    return this.i32[State.x87Tag >> 2];
  }
  set tag(value) {
    this.i32[State.x87Tag >> 2] = value & 255;
  }
  get top() {
    return this.status >> Status.topShift & 7;
  }
  set top(value) {
    this.status = this.status & ~Status.top | (value & 7) << Status.topShift;
  }
  /** ES and B from the flags and masks. */
  summarize() {
    const pending = this.status & ~this.control & Flag.all;
    const rest = this.status & ~(Status.errorSummary | Status.busy);
    this.status = pending ? rest | Status.errorSummary | Status.busy : rest;
  }
  /** Adds exception flags; C1 is as given. */
  raise(flags, c1) {
    this.status = this.status & ~Status.c1 | flags | (c1 ? Status.c1 : 0);
    this.summarize();
    if (flags & ~this.control & Flag.all) this.recordOpcode();
  }
  slot(index2) {
    return this.top + index2 & 7;
  }
  isEmpty(index2) {
    return (this.tag & 1 << this.slot(index2)) === 0;
  }
  /** The bits of ST(index). */
  bits(index2) {
    return this.physicalBits(this.slot(index2));
  }
  /** The bits of data register Rn. */
  physicalBits(register) {
    const at = State.x87 + register * 16;
    return { high: this.view.getUint16(at + 8, true), low: this.view.getBigUint64(at, true) };
  }
  setPhysicalBits(register, value) {
    const at = State.x87 + register * 16;
    this.view.setBigUint64(at, value.low, true);
    this.view.setUint16(at + 8, value.high, true);
  }
  read(index2) {
    return unpackExtended(this.bits(index2));
  }
  writeBits(index2, value) {
    this.setPhysicalBits(this.slot(index2), value);
    this.tag |= 1 << this.slot(index2);
  }
  write(index2, value) {
    this.writeBits(index2, packExtended(value));
  }
  pop() {
    this.tag &= ~(1 << this.slot(0));
    this.top = this.top + 1;
  }
  /** Marks ST(index) empty. */
  free(index2) {
    this.tag &= ~(1 << this.slot(index2));
  }
  /**
   * Pushes a value; on a full stack the overflow response (SDM Vol. 1 §8.5.1.1).
   * @returns false when nothing was pushed.
   */
  pushBits(value, flags = 0) {
    if (!this.isEmpty(7)) {
      this.raise(Flag.invalid | Flag.stackFault, true);
      if ((this.control & Flag.invalid) === 0) return false;
      this.top = this.top - 1;
      this.writeBits(0, indefinite);
      return true;
    }
    this.raise(flags, false);
    if (flags & ~this.control & (Flag.invalid | Flag.denormal)) return false;
    this.top = this.top - 1;
    this.writeBits(0, value);
    return true;
  }
  /** The stack-underflow response: the indefinite goes to ST(destination) when masked. @returns true when masked. */
  underflow(destination) {
    this.raise(Flag.invalid | Flag.stackFault, false);
    if ((this.control & Flag.invalid) === 0) return false;
    if (destination !== void 0) this.writeBits(destination, indefinite);
    return true;
  }
  /** Writes a result to ST(destination) and raises its flags. @returns false when an unmasked exception kept the destination. */
  finish(destination, result) {
    this.raise(result.flags, result.up);
    if (result.value === void 0) return false;
    this.write(destination, result.value);
    return true;
  }
  /** C0, C2, C3 as status bits; the others stay. */
  setConditions(bits2) {
    this.status = this.status & ~(Status.c0 | Status.c2 | Status.c3) | bits2;
  }
  /** #MF or FERR# when an exception is pending: before waiting instructions (SDM Vol. 1 §8.6, §8.7). */
  checkPending() {
    if ((this.status & Status.errorSummary) === 0) return;
    if (this.i32[State.cr0 >> 2] & CR0_NE) throw new Fault(Vector.x87FloatingPoint);
    this.host.ferr();
  }
  /** Remembers the instruction and its memory operand (SDM Vol. 1 §8.1.8); not for control instructions. */
  recordInstruction(record) {
    const { i32: i329, i64: i6410 } = this;
    i6410[State.x87InstructionPointer >> 3] = i6410[State.rip >> 3];
    i329[State.x87InstructionSelector >> 2] = this.selector(Segment.cs);
    if (!this.records.isMemory(record)) return;
    i6410[State.x87DataPointer >> 3] = this.records.effectiveAddress(record);
    i329[State.x87DataSelector >> 2] = this.selector(this.records.segment(record));
  }
  selector(segment) {
    return this.i32[segmentSlot(segment) + SegmentSlot.selector >> 2];
  }
  /**
   * The low 11 bits of the instruction's opcode, kept for unmasked exceptions only, as processors since the Pentium 4 do
   * (SDM Vol. 1 §8.1.9.1).
   */
  recordOpcode() {
    const rip = this.i64[State.x87InstructionPointer >> 3];
    try {
      for (let at = 0n; at < 15n; at++) {
        const byte = this.codeByte(rip + at);
        if ((byte & 248) !== 216) continue;
        this.i32[State.x87Opcode >> 2] = (byte & 7) << 8 | this.codeByte(rip + at + 1n);
        return;
      }
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
    }
  }
  codeByte(rip) {
    const address = this.host.fetchAddress(rip);
    return this.host.physical.isBacked(address) ? this.u8[RAM_BASE + address] : 0;
  }
  /** Writes the memory operand from bytes, all or nothing as far as faults go. @throws {Fault} */
  writeMemory(record, bytes) {
    const segment = this.records.segment(record);
    const start = this.records.effectiveAddress(record);
    if (bytes.length > CHUNK)
      this.host.probeWrite(
        segment,
        Number(BigInt.asIntN(32, start)),
        Number(BigInt.asIntN(32, start >> 32n)),
        bytes.length
      );
    for (let done = 0; done < bytes.length; done += CHUNK) {
      const part = bytes.subarray(done, Math.min(done + CHUNK, bytes.length));
      this.u8.set(part, State.exchange);
      this.transfer(record, segment, start + BigInt(done), part.length, true);
    }
  }
  /** Reads the memory operand. @throws {Fault} */
  readMemory(record, length) {
    const segment = this.records.segment(record);
    const start = this.records.effectiveAddress(record);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; done += CHUNK) {
      const size = Math.min(CHUNK, length - done);
      this.transfer(record, segment, start + BigInt(done), size, false);
      bytes.set(this.u8.subarray(State.exchange, State.exchange + size), done);
    }
    return bytes;
  }
  transfer(record, segment, address, size, write) {
    const offset = this.records.maskAddress(record, address);
    const low2 = Number(BigInt.asIntN(32, offset));
    const high2 = Number(BigInt.asIntN(32, offset >> 32n));
    const kind = size | segment << AccessKind.segmentShift;
    if (write) this.host.slowWrite(record, low2, high2, kind);
    else this.host.slowRead(record, low2, high2, kind);
  }
};

// emulator/cpu/floating-point/x87-arithmetic.ts
function fromInteger(value) {
  if (value === 0n) return zero(false);
  return finite(value < 0n, value < 0n ? -value : value, 0);
}
function memoryOperand(unit, form) {
  const { view } = unit;
  switch (form) {
    case ArithmeticForm.single:
      return unpackSingle(view.getInt32(State.exchange, true));
    case ArithmeticForm.double:
      return unpackDouble(view.getBigUint64(State.exchange, true));
    case ArithmeticForm.integer16:
      return fromInteger(BigInt(view.getInt16(State.exchange, true)));
    default:
      return fromInteger(BigInt(view.getInt32(State.exchange, true)));
  }
}
function operate(operation, a, b, control) {
  switch (operation) {
    case ArithmeticOperation.add:
      return add(a, b, false, control);
    case ArithmeticOperation.mul:
      return multiply(a, b, control);
    case ArithmeticOperation.sub:
      return add(a, b, true, control);
    case ArithmeticOperation.subr:
      return add(b, a, true, control);
    case ArithmeticOperation.div:
      return divide(a, b, control);
    default:
      return divide(b, a, control);
  }
}
function arithmetic(unit, record, parameter) {
  const operation = parameter & 255;
  const form = parameter >> 8;
  const inMemory = form >= ArithmeticForm.single;
  if (operation === ArithmeticOperation.com || operation === ArithmeticOperation.comp) {
    const pops = operation === ArithmeticOperation.comp ? 1 : 0;
    compareWith(unit, inMemory ? memoryOperand(unit, form) : void 0, 0, false, pops);
    return;
  }
  const toTop = inMemory || form === ArithmeticForm.toTop;
  const destination = toTop ? 0 : unit.records.register(record, 0);
  const source = toTop && !inMemory ? unit.records.register(record, 1) : 0;
  let done;
  if (unit.isEmpty(destination) || !inMemory && unit.isEmpty(source)) done = unit.underflow(destination);
  else {
    const a = unit.read(destination);
    const b = inMemory ? memoryOperand(unit, form) : unit.read(source);
    done = unit.finish(destination, operate(operation, a, b, unit.control));
  }
  if (done && form === ArithmeticForm.toRegisterPop) unit.pop();
}
var CONDITIONS = {
  greater: 0,
  less: Status.c0,
  equal: Status.c3,
  unordered: Status.c0 | Status.c2 | Status.c3
};
function compareWith(unit, operand, index2, quiet, pops) {
  const outcome = compareOperands(unit, operand, index2, quiet);
  if (!outcome) return;
  unit.setConditions(CONDITIONS[outcome]);
  for (let popped = 0; popped < pops; popped++) unit.pop();
}
function compareOperands(unit, operand, index2, quiet) {
  if (unit.isEmpty(0) || operand === void 0 && unit.isEmpty(index2))
    return unit.underflow(void 0) ? "unordered" : void 0;
  const a = unit.read(0);
  const b = operand ?? unit.read(index2);
  const flags = comparisonFlags(a, b, quiet);
  unit.raise(flags, false);
  return flags & ~unit.control & Flag.all ? void 0 : compare(a, b);
}
function setEflags(unit, outcome) {
  const { i32: i329, i64: i6410 } = unit.host.physical;
  const isZero = outcome === "equal" || outcome === "unordered";
  const carry = outcome === "less" || outcome === "unordered";
  const parity2 = outcome === "unordered";
  i6410[State.flagsResult >> 3] = isZero ? 0n : 1n;
  i329[State.flagsAux >> 2] = (carry ? 3221225472 | 0 : 0) | (parity2 === isZero ? 0 : 256);
}
function compareRow(unit, record, flags) {
  const quiet = (flags & CompareFlag.quiet) !== 0;
  const pops = flags & CompareFlag.popTwice ? 2 : flags & CompareFlag.pop ? 1 : 0;
  if (flags & CompareFlag.withZero) {
    compareWith(unit, zero(false), 0, false, 0);
    return;
  }
  const index2 = flags & CompareFlag.popTwice ? 1 : unit.records.register(record, 1);
  if ((flags & CompareFlag.toEflags) === 0) {
    compareWith(unit, void 0, index2, quiet, pops);
    return;
  }
  const outcome = compareOperands(unit, void 0, index2, quiet);
  if (!outcome) return;
  setEflags(unit, outcome);
  for (let popped = 0; popped < pops; popped++) unit.pop();
}
function examine(unit) {
  const value = unit.read(0);
  let bits2;
  if (unit.isEmpty(0)) bits2 = Status.c3 | Status.c0;
  else if (value.kind === Kind.unsupported) bits2 = 0;
  else if (isNan(value)) bits2 = Status.c0;
  else if (value.kind === Kind.infinity) bits2 = Status.c2 | Status.c0;
  else if (value.kind === Kind.zero) bits2 = Status.c3;
  else bits2 = value.denormal ? Status.c3 | Status.c2 : Status.c2;
  unit.raise(0, value.negative);
  unit.setConditions(bits2);
}
function changeSign(unit, change) {
  if (unit.isEmpty(0)) {
    unit.underflow(0);
    return;
  }
  unit.raise(0, false);
  const { high: high2, low: low2 } = unit.bits(0);
  unit.writeBits(0, { high: change(high2), low: low2 });
}
function unary(unit, operation) {
  if (unit.isEmpty(0)) unit.underflow(0);
  else unit.finish(0, operation(unit.read(0), unit.control));
}
function instruction(unit, action) {
  return (record, parameter) => {
    unit.recordInstruction(record);
    action(record, parameter);
    return Outcome.next;
  };
}
function arithmeticHelpers(unit) {
  return {
    "x87:arithmetic": instruction(unit, (record, parameter) => arithmetic(unit, record, parameter)),
    "x87:compare": instruction(unit, (record, flags) => compareRow(unit, record, flags)),
    "x87:fxam": instruction(unit, () => examine(unit)),
    "x87:fchs": instruction(unit, () => changeSign(unit, (high2) => high2 ^ 32768)),
    "x87:fabs": instruction(unit, () => changeSign(unit, (high2) => high2 & 32767)),
    "x87:fsqrt": instruction(unit, () => unary(unit, squareRoot)),
    "x87:rotate": instruction(unit, (_record, step2) => {
      unit.raise(0, false);
      unit.top = unit.top + step2;
    }),
    "x87:ffree": instruction(unit, (record, flags) => {
      unit.free(unit.records.register(record, 0));
      if (flags & StoreFlag.pop) unit.pop();
    })
  };
}

// emulator/cpu/floating-point/x87-scaling.ts
function roundInteger(value, control) {
  const nan = nanResult(value, value, control);
  if (nan) return nan;
  if (value.kind !== Kind.finite || value.exponent >= 0) return exactResult(value, denormalFlag(value), control);
  const { integer, inexact: inexact2, up } = roundToInteger(value, roundingOf(control));
  const flags = denormalFlag(value);
  if (flags & ~control) return { value: void 0, flags, up: false };
  const rounded = integer === 0n ? zero(value.negative) : finite(value.negative, integer, 0);
  return { value: rounded, flags: flags | (inexact2 ? Flag.inexact : 0), up };
}
var SCALE_LIMIT = 65536;
function scale(value, by, control) {
  const nan = nanResult(value, by, control);
  if (nan) return nan;
  const flags = denormalFlag(value, by);
  if (by.kind === Kind.infinity) {
    if (by.negative ? value.kind === Kind.infinity : value.kind === Kind.zero) return invalid(control);
    return exactResult(by.negative ? zero(value.negative) : infinity(value.negative), flags, control);
  }
  if (value.kind !== Kind.finite || by.kind === Kind.zero) return exactResult(value, flags, control);
  let count;
  if (by.exponent + bitLength(by.significand) > 20) count = SCALE_LIMIT;
  else count = Math.min(SCALE_LIMIT, Number(roundToInteger(by, 3).integer));
  const exponent = value.exponent + (by.negative ? -count : count);
  return roundResult({ negative: value.negative, significand: value.significand, exponent }, control, flags, extended);
}
function roomToPush(unit) {
  if (unit.isEmpty(7)) return true;
  unit.raise(Flag.invalid | Flag.stackFault, true);
  if (unit.control & Flag.invalid) {
    unit.writeBits(0, indefinite);
    unit.top = unit.top - 1;
    unit.writeBits(0, indefinite);
  }
  return false;
}
function extract(unit) {
  if (unit.isEmpty(0)) {
    if (unit.underflow(0)) {
      unit.top = unit.top - 1;
      unit.write(0, defaultNan);
    }
    return;
  }
  if (!roomToPush(unit)) return;
  const value = unit.read(0);
  const { control } = unit;
  const nan = nanResult(value, value, control);
  let exponent;
  let significand = value;
  let flags = denormalFlag(value);
  if (nan) {
    unit.raise(nan.flags, false);
    if (!nan.value) return;
    exponent = significand = nan.value;
    flags = 0;
  } else if (value.kind === Kind.zero) {
    flags |= Flag.zeroDivide;
    exponent = infinity(true);
  } else if (value.kind === Kind.infinity) exponent = infinity(false);
  else {
    const leading = value.exponent + bitLength(value.significand) - 1;
    exponent = fromInteger(BigInt(leading));
    significand = { ...value, exponent: value.exponent - leading };
  }
  if (!nan) unit.raise(flags, false);
  if (flags & ~control & Flag.all) return;
  unit.write(0, exponent);
  unit.top = unit.top - 1;
  unit.write(0, significand);
}
function remainder(unit, nearest) {
  if (unit.isEmpty(0) || unit.isEmpty(1)) {
    if (unit.underflow(0)) unit.setConditions(0);
    return;
  }
  const a = unit.read(0);
  const b = unit.read(1);
  const { control } = unit;
  let result = nanResult(a, b, control);
  if (!result && (a.kind === Kind.infinity || b.kind === Kind.zero)) result = invalid(control);
  let quotient = 0n;
  let partial = false;
  if (!result) {
    const flags = denormalFlag(a, b);
    if (a.kind === Kind.zero || b.kind === Kind.infinity) {
      result = a.kind === Kind.finite ? roundResult(a, control, flags, extended) : exactResult(a, flags, control);
    } else {
      const reduced = reduce(a, b, nearest);
      ({ quotient, partial } = reduced);
      result = reduced.significand === 0n ? exactResult(zero(a.negative), flags, control) : roundResult(reduced, control, flags, extended);
    }
  }
  if (!unit.finish(0, result)) return;
  const bit2 = (position, status) => quotient >> position & 1n ? status : 0;
  unit.status &= ~Status.c1;
  unit.setConditions(partial ? Status.c2 : bit2(2n, Status.c0) | bit2(1n, Status.c3));
  if (!partial) unit.status |= bit2(0n, Status.c1);
}
function reduce(a, b, nearest) {
  const difference = a.exponent + bitLength(a.significand) - (b.exponent + bitLength(b.significand));
  if (difference < -1)
    return { negative: a.negative, significand: a.significand, exponent: a.exponent, quotient: 0n, partial: false };
  if (difference >= 64) {
    const step2 = 32 + difference % 32;
    const exponent = b.exponent + difference - step2;
    const common2 = Math.min(a.exponent, exponent);
    const dividend2 = a.significand << BigInt(a.exponent - common2);
    const divisor2 = b.significand << BigInt(exponent - common2);
    return {
      negative: a.negative,
      significand: dividend2 % divisor2,
      exponent: common2,
      quotient: 0n,
      partial: true
    };
  }
  const common = Math.min(a.exponent, b.exponent);
  const dividend = a.significand << BigInt(a.exponent - common);
  const divisor = b.significand << BigInt(b.exponent - common);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let negative = a.negative;
  if (nearest && (2n * rest > divisor || 2n * rest === divisor && (quotient & 1n) === 1n)) {
    quotient++;
    rest = divisor - rest;
    negative = !negative;
  }
  return { negative, significand: rest, exponent: common, quotient, partial: false };
}
function scalingHelpers(unit) {
  return {
    "x87:frndint": instruction(unit, () => unary(unit, roundInteger)),
    "x87:fscale": instruction(unit, () => {
      if (unit.isEmpty(0) || unit.isEmpty(1)) unit.underflow(0);
      else unit.finish(0, scale(unit.read(0), unit.read(1), unit.control));
    }),
    "x87:fxtract": instruction(unit, () => extract(unit)),
    "x87:fprem": instruction(unit, () => remainder(unit, false)),
    "x87:fprem1": instruction(unit, () => remainder(unit, true))
  };
}

// emulator/cpu/floating-point/constants.ts
var FRACTION = 320;
var BITS = BigInt(FRACTION);
var ONE = 1n << BITS;
function arctangentSeries(x, alternating) {
  const square = x * x >> BITS;
  let power = x;
  let sum = 0n;
  for (let n = 0n; power !== 0n; n++) {
    const term = power / (2n * n + 1n);
    sum += alternating && n % 2n === 1n ? -term : term;
    power = power * square >> BITS;
  }
  return sum;
}
function arctangent(x) {
  let argument2 = x;
  let doublings = 0n;
  while (absolute(argument2) > ONE >> 4n) {
    const root = squareRootFixed(ONE + (argument2 * argument2 >> BITS));
    argument2 = (argument2 << BITS) / (ONE + root);
    doublings++;
  }
  return arctangentSeries(argument2, true) << doublings;
}
function absolute(value) {
  return value < 0n ? -value : value;
}
function squareRootFixed(value) {
  const radicand = value << BITS;
  let root = 1n << BigInt(radicand.toString(2).length + 1 >> 1);
  for (; ; ) {
    const next = root + radicand / root >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
function inverseHyperbolicTangent(t2) {
  return arctangentSeries(t2, false);
}
function naturalLogarithmOfSum(x) {
  return 2n * inverseHyperbolicTangent((x << BITS) / (2n * ONE + x));
}
function exponentialMinusOne(x) {
  let term = ONE;
  let sum = 0n;
  for (let n = 1n; ; n++) {
    term = term * x / (ONE * n);
    if (term === 0n) return sum;
    sum += term;
  }
}
function sineAndCosine(x) {
  const square = x * x >> BITS;
  let sine2 = 0n;
  let cosine2 = 0n;
  let term = ONE;
  for (let n = 0n; term !== 0n; n++) {
    cosine2 += n % 2n === 0n ? term : -term;
    term = term * square / (ONE * (2n * n + 1n) * (2n * n + 2n));
  }
  term = x;
  for (let n = 0n; term !== 0n; n++) {
    sine2 += n % 2n === 0n ? term : -term;
    term = term * square / (ONE * (2n * n + 2n) * (2n * n + 3n));
  }
  return { sine: sine2, cosine: cosine2 };
}
var PI = 16n * arctangentSeries(ONE / 5n, true) - 4n * arctangentSeries(ONE / 239n, true);
var LN2 = 2n * inverseHyperbolicTangent(ONE / 3n);
var LN10 = 3n * LN2 + naturalLogarithmOfSum(ONE / 4n);
var loaded = [
  finite(false, 1n, 0),
  finite(false, (LN10 << BITS) / LN2, -FRACTION),
  finite(false, (ONE << BITS) / LN2, -FRACTION),
  finite(false, PI, -FRACTION),
  finite(false, (LN2 << BITS) / LN10, -FRACTION),
  finite(false, LN2, -FRACTION),
  zero(false)
];
function constantValue(index2) {
  return loaded[index2];
}

// emulator/cpu/floating-point/x87-transcendental.ts
var SMALL = 80;
function topExponent(value) {
  return value.exponent + bitLength(value.significand) - 1;
}
function toFixed(value) {
  const magnitude = shiftRightJamming(value.significand, -(value.exponent + FRACTION));
  return value.negative ? -magnitude : magnitude;
}
function inexact(fixed, control, flags, exponent = 0) {
  const negative = fixed < 0n;
  const magnitude = negative ? -fixed : fixed;
  return roundResult(
    { negative, significand: magnitude << 1n | 1n, exponent: exponent - FRACTION - 1 },
    control,
    flags,
    extended
  );
}
function nudged(value, larger, control, flags) {
  const significand = (value.significand << 128n) + (larger ? 1n : -1n);
  return roundResult(
    { negative: value.negative, significand, exponent: value.exponent - 128 },
    control,
    flags,
    extended
  );
}
function reduceAngle(x) {
  const half2 = PI >> 1n;
  let quadrant = (2n * x + half2) / (2n * half2);
  if (2n * x + half2 < 0n && quadrant * 2n * half2 !== 2n * x + half2) quadrant--;
  const { sine: sine2, cosine: cosine2 } = sineAndCosine(x - (quadrant * PI >> 1n));
  switch (BigInt.asUintN(2, quadrant)) {
    case 0n:
      return { sine: sine2, cosine: cosine2 };
    case 1n:
      return { sine: cosine2, cosine: -sine2 };
    case 2n:
      return { sine: -sine2, cosine: -cosine2 };
    default:
      return { sine: -cosine2, cosine: sine2 };
  }
}
var one = finite(false, 1n, 0);
function sine(value, control) {
  if (value.kind === Kind.zero) return exactResult(value, 0, control);
  const flags = denormalFlag(value);
  if (topExponent(value) < -SMALL) return nudged(value, false, control, flags);
  return inexact(reduceAngle(toFixed(value)).sine, control, flags);
}
function cosine(value, control) {
  if (value.kind === Kind.zero) return exactResult(one, 0, control);
  const flags = denormalFlag(value);
  if (topExponent(value) < -SMALL) return nudged(one, false, control, flags);
  return inexact(reduceAngle(toFixed(value)).cosine, control, flags);
}
function tangent(value, control) {
  if (value.kind === Kind.zero) return exactResult(value, 0, control);
  const flags = denormalFlag(value);
  if (topExponent(value) < -SMALL) return nudged(value, true, control, flags);
  const angle2 = reduceAngle(toFixed(value));
  return inexact((angle2.sine << BigInt(FRACTION)) / angle2.cosine, control, flags);
}
function angleOperand(unit, pushes) {
  unit.status &= ~Status.c2;
  if (unit.isEmpty(0)) {
    if (unit.underflow(0) && pushes) pushCopy(unit);
    return void 0;
  }
  if (pushes && !roomToPush(unit)) return void 0;
  const value = unit.read(0);
  const bad = nanResult(value, value, unit.control) ?? (value.kind === Kind.infinity ? invalid(unit.control) : void 0);
  if (bad) {
    if (unit.finish(0, bad) && pushes) pushCopy(unit);
    return void 0;
  }
  if (value.kind === Kind.finite && topExponent(value) >= 63) {
    unit.status = unit.status & ~Status.c1 | Status.c2;
    return void 0;
  }
  return value;
}
function pushCopy(unit) {
  const value = unit.bits(0);
  unit.top = unit.top - 1;
  unit.writeBits(0, value);
}
function angle(unit, operation) {
  const value = angleOperand(unit, false);
  if (value) unit.finish(0, operation(value, unit.control));
}
function anglePair(unit, first, second2) {
  const value = angleOperand(unit, true);
  if (!value) return;
  const pushed = second2(value, unit.control);
  if (!unit.finish(0, first(value, unit.control)) || !pushed.value) return;
  unit.status |= pushed.flags;
  unit.summarize();
  unit.top = unit.top - 1;
  unit.write(0, pushed.value);
}
function exponential(value, control) {
  const nan = nanResult(value, value, control);
  if (nan) return nan;
  if (value.kind === Kind.zero) return exactResult(value, 0, control);
  if (value.kind === Kind.infinity) return exactResult(value.negative ? finite(true, 1n, 0) : value, 0, control);
  const flags = denormalFlag(value);
  const top = topExponent(value);
  if (top >= 0) {
    if (bitLength(value.significand & -value.significand) !== bitLength(value.significand) || top > 0)
      return exactResult(value, flags, control);
    return exactResult(value.negative ? finite(true, 1n, -1) : one, flags, control);
  }
  if (top < -SMALL) {
    const product = value.significand * LN2;
    return inexact(value.negative ? -product : product, control, flags, value.exponent);
  }
  return inexact(exponentialMinusOne(toFixed(value) * LN2 >> BigInt(FRACTION)), control, flags);
}
function timesFixed(y, fixed, control, flags, exponent = 0) {
  const product = y.significand * fixed;
  return inexact(y.negative ? -product : product, control, flags, y.exponent + exponent);
}
function logarithm(x, y, control) {
  const nan = nanResult(x, y, control);
  if (nan) return nan;
  const flags = denormalFlag(x, y);
  if (x.negative && x.kind !== Kind.zero) return invalid(control);
  if (x.kind === Kind.zero) {
    if (y.kind === Kind.zero) return invalid(control);
    const zeroDivide = y.kind === Kind.infinity ? 0 : Flag.zeroDivide;
    return exactResult(infinity(!y.negative), flags | zeroDivide, control);
  }
  const order = x.kind === Kind.infinity ? "greater" : compare(x, one);
  if (x.kind === Kind.infinity || y.kind === Kind.infinity) {
    if (y.kind === Kind.zero || order === "equal") return invalid(control);
    return exactResult(infinity(y.negative !== (order === "less")), flags, control);
  }
  if (order === "equal" || y.kind === Kind.zero)
    return exactResult(zero(y.negative !== (order === "less")), flags, control);
  let leading = topExponent(x);
  let fraction = toFixed({ ...x, exponent: x.exponent - leading }) - ONE;
  if (fraction === 0n) {
    const count = BigInt(Math.abs(leading));
    const exact = { negative: y.negative !== leading < 0, significand: y.significand * count, exponent: y.exponent };
    return roundResult(exact, control, flags, extended);
  }
  if (fraction > ONE >> 1n) {
    leading++;
    fraction = fraction - ONE >> 1n;
  }
  const log = (naturalLogarithmOfSum(fraction) << BigInt(FRACTION)) / LN2;
  return timesFixed(y, log + BigInt(leading) * ONE, control, flags);
}
function logarithmOfSum(x, y, control) {
  const nan = nanResult(x, y, control);
  if (nan) return nan;
  const flags = denormalFlag(x, y);
  if (x.kind === Kind.infinity) {
    if (x.negative || y.kind === Kind.zero) return invalid(control);
    return exactResult(infinity(y.negative), flags, control);
  }
  if (y.kind === Kind.infinity) {
    if (x.kind === Kind.zero) return invalid(control);
    return exactResult(infinity(y.negative !== x.negative), flags, control);
  }
  if (x.kind === Kind.zero || y.kind === Kind.zero) return exactResult(zero(x.negative !== y.negative), flags, control);
  const top = topExponent(x);
  if (top < -SMALL) {
    const product = (x.significand * y.significand << BigInt(2 * FRACTION)) / LN2;
    return inexact(x.negative !== y.negative ? -product : product, control, flags, x.exponent + y.exponent);
  }
  if (top >= -1) {
    if (x.negative && top >= 0) return invalid(control);
    const sum = x.negative ? ONE + toFixed(x) : top > FRACTION ? void 0 : ONE + toFixed(x);
    return logarithm(sum === void 0 ? x : finite(false, sum, -FRACTION), y, control);
  }
  const log = (naturalLogarithmOfSum(toFixed(x)) << BigInt(FRACTION)) / LN2;
  return timesFixed(y, log, control, flags);
}
function arctangentOf(x, y, control) {
  const nan = nanResult(x, y, control);
  if (nan) return nan;
  const flags = denormalFlag(x, y);
  const signed = (angleValue) => inexact(y.negative ? -angleValue : angleValue, control, flags);
  if (y.kind === Kind.zero || x.kind === Kind.infinity && y.kind !== Kind.infinity)
    return x.negative ? signed(PI) : exactResult(zero(y.negative), flags, control);
  if (x.kind === Kind.infinity) return signed(x.negative ? 3n * PI >> 2n : PI >> 2n);
  if (y.kind === Kind.infinity || x.kind === Kind.zero) return signed(PI >> 1n);
  const difference = topExponent(y) - topExponent(x);
  if (difference > SMALL) return signed(PI >> 1n);
  if (difference < -SMALL) {
    if (x.negative) return signed(PI);
    const quotient = (y.significand << BigInt(FRACTION)) / x.significand | 1n;
    return inexact(y.negative ? -quotient : quotient, control, flags, y.exponent - x.exponent);
  }
  const shift3 = BigInt(FRACTION);
  const common = Math.min(x.exponent, y.exponent);
  const across = x.significand << BigInt(x.exponent - common);
  const up = y.significand << BigInt(y.exponent - common);
  const steep = up > across;
  let result = arctangent(steep ? (across << shift3) / up : (up << shift3) / across);
  if (steep) result = (PI >> 1n) - result;
  if (x.negative) result = PI - result;
  return signed(result);
}
function binary(unit, operation) {
  const done = unit.isEmpty(0) || unit.isEmpty(1) ? unit.underflow(1) : unit.finish(1, operation(unit.read(0), unit.read(1), unit.control));
  if (done) unit.pop();
}
function transcendentalHelpers(unit) {
  return {
    "x87:f2xm1": instruction(unit, () => unary(unit, exponential)),
    "x87:fyl2x": instruction(unit, () => binary(unit, logarithm)),
    "x87:fyl2xp1": instruction(unit, () => binary(unit, logarithmOfSum)),
    "x87:fpatan": instruction(unit, () => binary(unit, arctangentOf)),
    "x87:fsin": instruction(unit, () => angle(unit, sine)),
    "x87:fcos": instruction(unit, () => angle(unit, cosine)),
    "x87:fsincos": instruction(unit, () => anglePair(unit, sine, cosine)),
    "x87:fptan": instruction(unit, () => anglePair(unit, tangent, (_value, control) => exactResult(one, 0, control)))
  };
}

// emulator/cpu/floating-point/x87-transfer.ts
var DECIMAL_LIMIT = 10n ** 18n;
function decimal(unit) {
  let value = 0n;
  for (let at = 8; at >= 0; at--) {
    const byte = unit.u8[State.exchange + at];
    value = value * 100n + BigInt((byte >> 4) * 10 + (byte & 15));
  }
  const negative = (unit.u8[State.exchange + 9] & 128) !== 0;
  return value === 0n ? zero(negative) : finite(negative, value, 0);
}
function load(unit, record, format) {
  const { view } = unit;
  switch (format) {
    case DataFormat.register: {
      const index2 = unit.records.register(record, 0);
      if (unit.isEmpty(index2) && unit.isEmpty(7)) {
        if (unit.underflow(void 0)) {
          unit.top = unit.top - 1;
          unit.writeBits(0, indefinite);
        }
      } else unit.pushBits(unit.bits(index2));
      return;
    }
    case DataFormat.extended:
      unit.pushBits({ high: view.getUint16(State.exchange + 8, true), low: view.getBigUint64(State.exchange, true) });
      return;
    case DataFormat.single:
      loadReal(unit, unpackSingle(view.getInt32(State.exchange, true)));
      return;
    case DataFormat.double:
      loadReal(unit, unpackDouble(view.getBigUint64(State.exchange, true)));
      return;
    case DataFormat.integer16:
      unit.pushBits(packExtended(fromInteger(BigInt(view.getInt16(State.exchange, true)))));
      return;
    case DataFormat.integer32:
      unit.pushBits(packExtended(fromInteger(BigInt(view.getInt32(State.exchange, true)))));
      return;
    case DataFormat.integer64:
      unit.pushBits(packExtended(fromInteger(view.getBigInt64(State.exchange, true))));
      return;
    default:
      unit.pushBits(packExtended(decimal(unit)));
  }
}
function loadReal(unit, value) {
  const flags = value.kind === Kind.signalingNan ? Flag.invalid : value.denormal ? Flag.denormal : 0;
  unit.pushBits(packExtended(isNan(value) ? quieted(value) : value), flags);
}
function littleEndian2(value, size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) bytes[at] = Number(value >> BigInt(at * 8) & 0xffn);
  return bytes;
}
function realBytes(value, format) {
  return format === single ? littleEndian2(BigInt(packSingle(value) >>> 0), 4) : littleEndian2(packDouble(value), 8);
}
function convertReal(value, format, control) {
  if (value.kind === Kind.unsupported || value.kind === Kind.signalingNan) {
    const nan = value.kind === Kind.unsupported ? defaultNan : quieted(value);
    const bytes = control & Flag.invalid ? realBytes(nan, format) : void 0;
    return { bytes, flags: Flag.invalid, up: false };
  }
  if (value.kind !== Kind.finite) return { bytes: realBytes(value, format), flags: 0, up: false };
  const rounded = round(value.negative, value.significand, value.exponent, format, roundingOf(control));
  if (rounded.flags & Flag.overflow && (control & Flag.overflow) === 0)
    return { bytes: void 0, flags: Flag.overflow, up: false };
  if (rounded.tiny && (control & Flag.underflow) === 0) return { bytes: void 0, flags: Flag.underflow, up: false };
  return { bytes: realBytes(rounded.value, format), flags: rounded.flags, up: rounded.up };
}
function convertInteger(value, size, control, truncate) {
  const least2 = -(1n << BigInt(size * 8 - 1));
  const bad = () => ({
    bytes: control & Flag.invalid ? littleEndian2(BigInt.asUintN(size * 8, least2), size) : void 0,
    flags: Flag.invalid,
    up: false
  });
  if (value.kind === Kind.zero) return { bytes: new Uint8Array(size), flags: 0, up: false };
  if (value.kind !== Kind.finite || value.exponent > 64) return bad();
  const { integer, inexact: inexact2, up } = roundToInteger(value, truncate ? Rounding.zero : roundingOf(control));
  const signed = value.negative ? -integer : integer;
  if (signed < least2 || signed >= -least2) return bad();
  return { bytes: littleEndian2(BigInt.asUintN(size * 8, signed), size), flags: inexact2 ? Flag.inexact : 0, up };
}
var DECIMAL_INDEFINITE = 0xffffc000000000000000n;
function convertDecimal(value, control) {
  const bad = () => ({
    bytes: control & Flag.invalid ? littleEndian2(DECIMAL_INDEFINITE, 10) : void 0,
    flags: Flag.invalid,
    up: false
  });
  const sign2 = value.negative ? 1n << 79n : 0n;
  if (value.kind === Kind.zero) return { bytes: littleEndian2(sign2, 10), flags: 0, up: false };
  if (value.kind !== Kind.finite || value.exponent > 64) return bad();
  const { integer, inexact: inexact2, up } = roundToInteger(value, roundingOf(control));
  if (integer >= DECIMAL_LIMIT) return bad();
  const packed = BigInt(`0x${integer.toString()}`);
  return { bytes: littleEndian2(sign2 | packed, 10), flags: inexact2 ? Flag.inexact : 0, up };
}
var INTEGER_SIZES = {
  [DataFormat.integer16]: 2,
  [DataFormat.integer32]: 4,
  [DataFormat.integer64]: 8
};
function extendedBytes(value) {
  return littleEndian2(BigInt(value.high) << 64n | value.low, 10);
}
function convert(unit, format, truncate) {
  const { control } = unit;
  const empty = unit.isEmpty(0);
  const value = empty ? defaultNan : unit.read(0);
  let stored;
  if (format === DataFormat.single) stored = convertReal(value, single, control);
  else if (format === DataFormat.double) stored = convertReal(value, double, control);
  else if (format === DataFormat.extended)
    stored = { bytes: extendedBytes(empty ? indefinite : unit.bits(0)), flags: 0, up: false };
  else if (format === DataFormat.decimal) stored = convertDecimal(value, control);
  else stored = convertInteger(value, INTEGER_SIZES[format], control, truncate);
  if (!empty) return stored;
  return {
    bytes: control & Flag.invalid ? stored.bytes : void 0,
    flags: Flag.invalid | Flag.stackFault,
    up: false
  };
}
function store(unit, record, parameter) {
  const format = parameter & 15;
  const pops = (parameter & StoreFlag.pop) !== 0;
  if (format === DataFormat.register) {
    unit.recordInstruction(record);
    const index2 = unit.records.register(record, 0);
    let done = true;
    if (unit.isEmpty(0)) done = unit.underflow(index2);
    else {
      unit.raise(0, false);
      unit.writeBits(index2, unit.bits(0));
    }
    if (done && pops) unit.pop();
    return;
  }
  const { bytes, flags, up } = convert(unit, format, (parameter & StoreFlag.truncate) !== 0);
  if (bytes) unit.writeMemory(record, bytes);
  unit.recordInstruction(record);
  unit.raise(flags, up);
  if (bytes && pops) unit.pop();
}
function exchange(unit, record) {
  const index2 = unit.records.register(record, 1);
  const topEmpty = unit.isEmpty(0);
  const otherEmpty = unit.isEmpty(index2);
  if (topEmpty || otherEmpty) {
    if (!unit.underflow(void 0)) return;
  } else unit.raise(0, false);
  const top = topEmpty ? indefinite : unit.bits(0);
  const other = otherEmpty ? indefinite : unit.bits(index2);
  unit.writeBits(0, other);
  unit.writeBits(index2, top);
}
function conditionalMove(unit, record, condition3) {
  const index2 = unit.records.register(record, 1);
  if (unit.isEmpty(0) || unit.isEmpty(index2)) unit.underflow(0);
  else if (condition3) unit.writeBits(0, unit.bits(index2));
}
function loadConstant(unit, index2) {
  const value = constantValue(index2);
  if (value.kind !== Kind.finite) {
    unit.pushBits(packExtended(value));
    return;
  }
  const rounding = roundingOf(unit.control);
  unit.pushBits(packExtended(round(false, value.significand, value.exponent, extended, rounding).value));
}
function transferHelpers(unit) {
  return {
    "x87:load": instruction(unit, (record, format) => load(unit, record, format)),
    "x87:store": (record, parameter) => {
      store(unit, record, parameter);
      return Outcome.next;
    },
    "x87:fxch": instruction(unit, (record) => exchange(unit, record)),
    "x87:fcmov": instruction(unit, (record, condition3) => conditionalMove(unit, record, condition3)),
    "x87:constant": instruction(unit, (_record, index2) => loadConstant(unit, index2))
  };
}

// emulator/cpu/floating-point/index.ts
function floatingPointHelpers(host) {
  const unit = new X87Unit(host);
  return {
    ...arithmeticHelpers(unit),
    ...transferHelpers(unit),
    ...scalingHelpers(unit),
    ...transcendentalHelpers(unit),
    ...stateImageHelpers(unit),
    "x87:pending": () => {
      unit.checkPending();
      return Outcome.next;
    }
  };
}

// emulator/cpu/exceptions.ts
function classOf(vector2) {
  switch (vector2) {
    case Vector.divideError:
    case Vector.invalidTss:
    case Vector.segmentNotPresent:
    case Vector.stackFault:
    case Vector.generalProtection:
      return "contributory";
    case Vector.pageFault:
      return "page fault";
    case Vector.doubleFault:
      return "double fault";
    default:
      return "benign";
  }
}
function combine(first, firstIsException, second2) {
  const before2 = firstIsException ? classOf(first) : "benign";
  const now = classOf(second2.vector);
  if (before2 === "double fault") return now === "benign" ? second2 : void 0;
  const doubles = before2 === "contributory" && now === "contributory" || before2 === "page fault" && (now === "contributory" || now === "page fault");
  return doubles ? new Fault(Vector.doubleFault, 0) : second2;
}
function isFault(vector2) {
  return vector2 !== Vector.debug && vector2 !== Vector.nmi && vector2 !== Vector.breakpoint && vector2 !== Vector.overflow;
}

// emulator/cpu/interrupt-delivery.ts
var ERROR_IDT = 1 << 1;
var ERROR_EXTERNAL = 1 << 0;
var GENERAL_DETECT = 1 << 13;
var InterruptDelivery = class {
  constructor(core, tasks) {
    this.core = core;
    this.tasks = tasks;
  }
  core;
  tasks;
  onEvent = () => void 0;
  /** Called once when a fault during delivery of a double fault has shut the processor down. */
  onShutdown = () => {
  };
  /** Interrupts and NMIs that were delivered. */
  delivered = 0;
  /** Delivers an exception of the instruction at State.rip, and what follows from it; false after shutdown. */
  deliver(fault) {
    return this.run(fault, "exception");
  }
  /** Delivers an interrupt between instructions; State.rip is the next instruction. False after shutdown. */
  interrupt(vector2, source) {
    this.delivered++;
    if (source === "nmi") this.core.state.i32[Internal.nmiBlocked >> 2] = 1;
    return this.run(new Fault(vector2), source);
  }
  /**
   * INT n, INT3, INTO and INT1: enters the handler; `ripLow`, `ripHigh` are the return address.
   * @returns false when the observer took the event over. @throws {Fault} of the instruction.
   */
  software(vector2, source, ripLow, ripHigh) {
    if (this.onEvent(vector2, void 0, source)) return false;
    const flags = this.core.readEflags() & ~Eflags.RF;
    try {
      this.enter({ vector: vector2, source, errorCode: void 0, ripLow, ripHigh, flags });
    } catch (error) {
      throw error instanceof Fault && source === "int1" ? external(error) : error;
    }
    return true;
  }
  run(first, source) {
    const { state } = this.core;
    state.i32[Internal.activity >> 2] = Activity.active;
    state.setInternal(Internal.shadowBoundary, 0);
    let fault = first;
    let from = source;
    for (let depth = 0; depth < 8; depth++) {
      if (this.onEvent(fault.vector, fault.errorCode, from)) return true;
      try {
        this.enter({
          vector: fault.vector,
          source: from,
          errorCode: fault.errorCode,
          ripLow: state.i32[State.rip >> 2],
          ripHigh: state.i32[(State.rip >> 2) + 1],
          flags: this.pushedFlags(fault.vector, from)
        });
        return true;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        const next = combine(fault.vector, from === "exception", error);
        if (!next) break;
        fault = next === error ? external(error) : next;
        from = "exception";
      }
    }
    state.i32[Internal.activity >> 2] = Activity.shutdown;
    this.onShutdown();
    return false;
  }
  pushedFlags(vector2, source) {
    const flags = this.core.readEflags();
    return source === "exception" && isFault(vector2) ? flags | Eflags.RF : flags;
  }
  enter(event) {
    const { state } = this.core;
    if (!state.protectedMode) this.enterRealMode(event);
    else if (state.longMode) this.enter64(event);
    else this.enterProtected(event);
    if (event.vector === Vector.debug && event.source === "exception")
      state.i32[State.dr + 7 * 8 >> 2] &= ~GENERAL_DETECT;
  }
  /** SDM Vol. 3B §20.1.4. Error codes are not pushed. */
  enterRealMode(event) {
    const { core } = this;
    const { state, memory, operands } = core;
    if (event.vector * 4 + 3 > state.i32[State.idtrLimit >> 2] >>> 0)
      throw new Fault(Vector.generalProtection, event.vector * 8 + ERROR_IDT);
    const entry = memory.readLinear(state.i32[State.idtrBase >> 2] + event.vector * 4 | 0, 0, 4);
    operands.pokeStack(-2, 2, event.flags);
    operands.pokeStack(-4, 2, state.selector(Segment.cs));
    operands.pokeStack(-6, 2, event.ripLow);
    operands.moveStack(-6);
    core.segmentation.loadRealMode(Segment.cs, entry >>> 16);
    state.setRip(entry & 65535, 0);
    state.flagsRest &= ~(Eflags.IF | Eflags.TF | Eflags.AC | Eflags.RF);
    state.updateMode();
  }
  /** The gate of a vector, checked as far as every kind of gate is (SDM Vol. 3A §6.12). */
  readGate(event, size) {
    const { state, memory } = this.core;
    const error = event.vector * 8 + ERROR_IDT;
    const offset = event.vector * size;
    if (offset + size - 1 > state.i32[State.idtrLimit >> 2] >>> 0) throw new Fault(Vector.generalProtection, error);
    const sum = (state.i32[State.idtrBase >> 2] >>> 0) + offset;
    const high2 = size === 16 ? state.i32[(State.idtrBase >> 2) + 1] + (sum > 4294967295 ? 1 : 0) | 0 : 0;
    const low2 = memory.readLinear(sum | 0, high2, 8) | 0;
    const second2 = memory.valueHigh;
    const upper = size === 16 ? memory.readLinear(sum + 8 | 0, high2 + (sum <= 4294967295 && sum + 8 > 4294967295 ? 1 : 0) | 0, 4) | 0 : 0;
    const gate = new Descriptor(low2, second2, upper);
    const allowed = size === 16 ? gate.type === SystemType.interruptGate || gate.type === SystemType.trapGate : gate.type === SystemType.taskGate || (gate.type & 6) === 6;
    if (!gate.isSystem || !allowed) throw new Fault(Vector.generalProtection, error);
    if (event.source === "software" && gate.dpl < state.cpl) throw new Fault(Vector.generalProtection, error);
    if (!gate.present) throw new Fault(Vector.segmentNotPresent, error);
    return gate;
  }
  /** The code segment of a gate, checked against the current privilege level. */
  readHandler(selector) {
    const { state, segmentation } = this.core;
    if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
    const code = segmentation.read(selector);
    if (!code.isCode || code.dpl > state.cpl) throw selectorFault(Vector.generalProtection, selector);
    if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
    return code;
  }
  enterProtected(event) {
    const { core } = this;
    const { state, segmentation, memory } = core;
    const gate = this.readGate(event, 8);
    if (gate.type === SystemType.taskGate) {
      this.enterTask(gate.gateSelector, event);
      return;
    }
    const size = gate.type & 8 ? 4 : 2;
    const selector = gate.gateSelector;
    const code = this.readHandler(selector);
    const inner = !code.isConforming && code.dpl < state.cpl;
    const offset = size === 4 ? gate.gateOffset : gate.gateOffset & 65535;
    const virtual8086 = state.virtual8086;
    if (virtual8086 && (!inner || code.dpl !== 0)) throw selectorFault(Vector.generalProtection, selector);
    const cpl = inner ? code.dpl : state.cpl;
    let stackSelector = 0;
    let stack;
    let frame;
    if (inner) {
      const pointer = this.innerStack(code.dpl);
      stackSelector = pointer.selector;
      if ((stackSelector & ~3) === 0) throw new Fault(Vector.invalidTss, 0);
      stack = segmentation.readStack(stackSelector, code.dpl, Vector.invalidTss);
      const error = stackSelector & 65532;
      frame = new StackFrame(memory, false, stack.access, stack.baseLow, stack.limit, cpl, error);
      frame.low = pointer.esp;
      if (virtual8086)
        for (const segment of [Segment.gs, Segment.fs, Segment.ds, Segment.es])
          frame.push(size, state.selector(segment));
      frame.push(size, state.selector(Segment.ss));
      frame.push(size, state.gpr32(4));
    } else {
      const access = state.access(Segment.ss);
      frame = new StackFrame(memory, false, access, state.baseLow(Segment.ss), state.limit(Segment.ss), cpl, 0);
      frame.low = state.gpr32(4);
    }
    frame.push(size, event.flags);
    frame.push(size, state.selector(Segment.cs));
    frame.push(size, event.ripLow);
    if (event.errorCode !== void 0) frame.push(size, event.errorCode);
    if (offset > code.limit) throw new Fault(Vector.generalProtection, 0);
    segmentation.prepare(selector, code);
    segmentation.prepare(stackSelector, stack);
    this.clearFlags(gate);
    if (virtual8086)
      for (const segment of [Segment.gs, Segment.fs, Segment.ds, Segment.es]) state.setNullSegment(segment, 0);
    state.cpl = cpl;
    segmentation.commit(Segment.cs, selector & ~3 | cpl, code);
    if (stack) segmentation.commit(Segment.ss, stackSelector, stack);
    state.setGpr32(4, frame.low);
    state.setRip(offset, 0);
    state.updateMode();
  }
  /** SS:ESP for a privilege level from the current TSS (SDM Vol. 3A §5.8.5). @throws {Fault} #TS with the TSS's selector. */
  innerStack(level) {
    const { state, memory } = this.core;
    const wide = (state.access(Segment.tr) & 8) !== 0;
    const offset = wide ? 4 + level * 8 : 2 + level * 4;
    if (offset + (wide ? 5 : 3) > state.limit(Segment.tr))
      throw selectorFault(Vector.invalidTss, state.selector(Segment.tr));
    const at = state.baseLow(Segment.tr) + offset | 0;
    const esp = memory.readLinear(at, 0, wide ? 4 : 2) | 0;
    return { esp, selector: memory.readLinear(at + (wide ? 4 : 2) | 0, 0, 2) };
  }
  /** RSP for a privilege level (1 to 3: an IST entry, from `stackIndex`) from the 64-bit TSS (SDM Vol. 3A §7.7): [low, high]. */
  innerStack64(level, stackIndex) {
    const { state, memory } = this.core;
    const offset = stackIndex === 0 ? 4 + level * 8 : 36 + (stackIndex - 1) * 8;
    if (offset + 7 > state.limit(Segment.tr)) throw selectorFault(Vector.invalidTss, state.selector(Segment.tr));
    const sum = (state.baseLow(Segment.tr) >>> 0) + offset;
    const high2 = state.baseHigh(Segment.tr) + (sum > 4294967295 ? 1 : 0) | 0;
    const low2 = memory.readLinear(sum | 0, high2, 8) | 0;
    return [low2, memory.valueHigh];
  }
  /** 64-bit gates (SDM Vol. 3A §6.14). */
  enter64(event) {
    const { core } = this;
    const { state, segmentation, memory } = core;
    const gate = this.readGate(event, 16);
    const selector = gate.gateSelector;
    const code = this.readHandler(selector);
    if (!code.isLong || code.isBig) throw selectorFault(Vector.generalProtection, selector);
    const inner = !code.isConforming && code.dpl < state.cpl;
    const cpl = inner ? code.dpl : state.cpl;
    const oldLow = state.gpr32(4);
    const oldHigh = state.i32[State.gpr + 36 >> 2];
    const [low2, high2] = inner || gate.gateStackIndex !== 0 ? this.innerStack64(cpl, gate.gateStackIndex) : [oldLow, oldHigh];
    const frame = new StackFrame(memory, true, 0, 0, 0, cpl, 0);
    if (!isCanonical(high2)) throw new Fault(Vector.stackFault, 0);
    frame.low = low2 & ~15;
    frame.high = high2;
    frame.push(8, state.selector(Segment.ss));
    frame.push(8, oldLow, oldHigh);
    frame.push(8, event.flags);
    frame.push(8, state.selector(Segment.cs));
    frame.push(8, event.ripLow, event.ripHigh);
    if (event.errorCode !== void 0) frame.push(8, event.errorCode);
    if (!isCanonical(gate.upper)) throw new Fault(Vector.generalProtection, 0);
    segmentation.prepare(selector, code);
    this.clearFlags(gate);
    state.cpl = cpl;
    segmentation.commit(Segment.cs, selector & ~3 | cpl, code);
    if (inner) segmentation.commitNullStack(cpl);
    state.i32[State.gpr + 32 >> 2] = frame.low;
    state.i32[State.gpr + 36 >> 2] = frame.high;
    state.setRip(gate.gateOffset, gate.upper);
    state.updateMode();
  }
  clearFlags(gate) {
    const { state } = this.core;
    const disable = (gate.type & 1) === 0 ? Eflags.IF : 0;
    state.flagsRest &= ~(Eflags.TF | Eflags.VM | Eflags.RF | Eflags.NT | disable);
  }
  /** A task gate in the IDT (SDM Vol. 3A §6.12.2). */
  enterTask(selector, event) {
    const { state, operands } = this.core;
    const descriptor = this.tasks.findAvailable(selector);
    state.flagsRest = state.flagsRest & ~Eflags.RF | event.flags & Eflags.RF;
    if (event.flags & Eflags.RF) state.setInternal(Internal.resumeFlagBoundary, this.core.retired());
    const width = this.tasks.switchTo(selector, descriptor, "interrupt", event.ripLow);
    if (event.errorCode !== void 0) operands.push(width, event.errorCode);
  }
};
function external(fault) {
  const { vector: vector2, errorCode } = fault;
  if (errorCode === void 0 || vector2 === Vector.pageFault || vector2 === Vector.doubleFault) return fault;
  if (vector2 === Vector.alignmentCheck) return fault;
  return new Fault(vector2, errorCode | ERROR_EXTERNAL);
}

// emulator/cpu/interrupt-return.ts
var BASIC = Eflags.arithmetic | Eflags.TF | Eflags.DF | Eflags.NT;
var InterruptReturn = class {
  constructor(core, tasks) {
    this.core = core;
    this.tasks = tasks;
  }
  core;
  tasks;
  iret = (record, size) => {
    const { state } = this.core;
    state.i32[Internal.nmiBlocked >> 2] = 0;
    if (!state.protectedMode) return this.returnReal(size);
    if (state.virtual8086) return this.returnInVirtual8086(size);
    if (state.flagsRest & Eflags.NT) {
      if (state.longMode) throw new Fault(Vector.generalProtection, 0);
      const { selector, descriptor } = this.tasks.findPrevious();
      this.tasks.switchTo(selector, descriptor, "return", this.core.operands.nextRip(record));
      return this.core.leave();
    }
    return this.returnProtected(size);
  };
  returnReal(size) {
    const { core } = this;
    const { state, operands } = core;
    const ip = operands.peekStack(0, size);
    const cs = operands.peekStack(size, size) & 65535;
    const flags = operands.peekStack(2 * size, size);
    if (ip > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
    operands.moveStack(3 * size);
    core.segmentation.loadRealMode(Segment.cs, cs);
    state.setRip(ip, 0);
    const wide = size === 4 ? Eflags.RF | Eflags.AC | Eflags.ID : 0;
    core.writeEflags(flags, BASIC | Eflags.IF | Eflags.IOPL | wide);
    state.updateMode();
    return core.leave();
  }
  returnInVirtual8086(size) {
    const { core } = this;
    const { state, operands } = core;
    const virtualInterrupts = state.iopl < 3;
    if (virtualInterrupts && ((state.cr4 & Cr4.VME) === 0 || size !== 2)) throw new Fault(Vector.generalProtection, 0);
    const ip = operands.peekStack(0, size);
    const cs = operands.peekStack(size, size) & 65535;
    const flags = operands.peekStack(2 * size, size);
    if (ip > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
    if (virtualInterrupts && (flags & Eflags.TF || flags & Eflags.IF && state.flagsRest & Eflags.VIP))
      throw new Fault(Vector.generalProtection, 0);
    operands.moveStack(3 * size);
    core.segmentation.loadRealMode(Segment.cs, cs);
    state.setRip(ip, 0);
    if (virtualInterrupts) {
      core.writeEflags(flags, BASIC);
      core.writeEflags(flags & Eflags.IF ? Eflags.VIF : 0, Eflags.VIF);
    } else core.writeEflags(flags, BASIC | Eflags.IF | (size === 4 ? Eflags.RF | Eflags.AC | Eflags.ID : 0));
    return core.leave();
  }
  returnProtected(size) {
    const { core } = this;
    const { state, operands } = core;
    const ipLow = operands.peekStack(0, size) | 0;
    const ipHigh = size === 8 ? operands.high : 0;
    const cs = operands.peekStack(size, size) & 65535;
    const flags = operands.peekStack(2 * size, size) | 0;
    const cpl = state.cpl;
    if (flags & Eflags.VM && cpl === 0 && size === 4 && !state.longMode)
      return this.returnToVirtual8086(ipLow, cs, flags);
    const code = readReturnCode(core, cs);
    const toLong = state.longMode && code.isLong;
    const outer = (cs & 3) > cpl;
    if (outer || state.mode64) {
      const spLow = operands.peekStack(3 * size, size) | 0;
      const spHigh = size === 8 ? operands.high : 0;
      const ss = operands.peekStack(4 * size, size) & 65535;
      const stack = readReturnStack(core, ss, cs & 3, toLong);
      checkTarget(core, code, ipLow, ipHigh);
      commitReturn(core, cs, code, ss, stack);
      this.writeFlags(flags, size, cpl);
      operands.setStack(spLow, spHigh);
      if (outer) core.segmentation.dropInnerSegments(cs & 3);
    } else {
      checkTarget(core, code, ipLow, ipHigh);
      commitReturn(core, cs, code);
      operands.moveStack(3 * size);
      this.writeFlags(flags, size, cpl);
    }
    state.setRip(ipLow, toLong ? ipHigh : 0);
    return core.leave();
  }
  writeFlags(flags, size, cpl) {
    let mask2 = BASIC;
    if (size >= 4) mask2 |= Eflags.RF | Eflags.AC | Eflags.ID;
    if (cpl <= this.core.state.iopl) mask2 |= Eflags.IF;
    if (cpl === 0) mask2 |= Eflags.IOPL | (size >= 4 ? Eflags.VIF | Eflags.VIP : 0);
    this.core.writeEflags(flags, mask2);
  }
  returnToVirtual8086(ip, cs, flags) {
    const { core } = this;
    const { state, operands, segmentation } = core;
    const esp = operands.peekStack(12, 4) | 0;
    const selectors = [16, 20, 24, 28, 32].map((at) => operands.peekStack(at, 4) & 65535);
    core.writeEflags(flags, -1);
    segmentation.loadRealMode(Segment.cs, cs);
    const order = [Segment.ss, Segment.es, Segment.ds, Segment.fs, Segment.gs];
    order.forEach((segment, index2) => {
      segmentation.loadRealMode(segment, selectors[index2]);
    });
    state.cpl = 3;
    state.setGpr32(4, esp);
    state.setRip(ip & 65535, 0);
    state.updateMode();
    return core.leave();
  }
};

// emulator/cpu/port-io.ts
var IO_MAP_BASE = 102;
var RAX2 = 0;
var RCX2 = 1;
var RDX2 = 2;
var RSI = 6;
var RDI = 7;
var PAGE2 = 4096;
var PortIo = class {
  constructor(core, ports, debug) {
    this.core = core;
    this.ports = ports;
    this.debug = debug;
    this.helpers = this.instructions();
  }
  core;
  ports;
  debug;
  helpers;
  /** @throws {Fault} #GP(0) when neither IOPL nor the I/O permission bitmap allows the ports (SDM Vol. 1 §19.5). */
  checkPermission(port, size) {
    const { state, memory } = this.core;
    if (!state.protectedMode || !state.virtual8086 && state.cpl <= state.iopl) return;
    const limit = state.limit(Segment.tr);
    const wide = (state.access(Segment.tr) & 8) !== 0;
    if (!wide || IO_MAP_BASE + 1 > limit) throw new Fault(Vector.generalProtection, 0);
    const at = (offset) => {
      const sum = (state.baseLow(Segment.tr) >>> 0) + offset;
      return [sum | 0, state.longMode ? state.baseHigh(Segment.tr) + (sum > 4294967295 ? 1 : 0) | 0 : 0];
    };
    const map = memory.readLinear(...at(IO_MAP_BASE), 2) + (port >> 3);
    if (map + 1 > limit) throw new Fault(Vector.generalProtection, 0);
    const bits2 = memory.readLinear(...at(map), 2) >> (port & 7);
    if (bits2 & (1 << size) - 1) throw new Fault(Vector.generalProtection, 0);
  }
  input(port, size) {
    this.checkPermission(port, size);
    this.debug.portAccessed(port, size);
    return this.ports.read(port, size);
  }
  output(port, size, value) {
    this.checkPermission(port, size);
    this.debug.portAccessed(port, size);
    this.ports.write(port, size, value);
  }
  instructions() {
    const { core } = this;
    const { state, operands } = core;
    const accumulator = State.gpr + RAX2 * 8;
    const dx = () => state.gpr32(RDX2) & 65535;
    const immediate = (record) => operands.immediate(record) & 255;
    const input = (port) => {
      return (record, size) => {
        operands.writeRegister(accumulator, size, this.input(port(record), size));
        return core.proceed(record);
      };
    };
    const output = (port) => {
      return (record, size) => {
        this.output(port(record), size, operands.readRegister(accumulator, size));
        return core.proceed(record);
      };
    };
    return {
      in: input(immediate),
      inDx: input(dx),
      out: output(immediate),
      outDx: output(dx),
      ins: (record, size) => this.repeat(record, size, RDI, () => this.inputString(record, size)),
      outs: (record, size) => this.repeat(record, size, RSI, () => this.outputString(record, size))
    };
  }
  /** Offset of RSI or RDI in the instruction's address size. */
  index(record, register) {
    const { state } = this.core;
    const low2 = state.gpr32(register);
    const shift3 = state.u8[record + Record.addressShift];
    if (shift3 === 48) return [low2 & 65535, 0];
    return [low2, shift3 === 0 ? state.i32[(State.gpr + register * 8 >> 2) + 1] : 0];
  }
  inputString(record, size) {
    const { state, memory } = this.core;
    const port = state.gpr32(RDX2) & 65535;
    const [low2, high2] = this.index(record, RDI);
    this.checkPermission(port, size);
    memory.probeWrite(Segment.es, low2, high2, size);
    memory.write(Segment.es, low2, high2, size, this.input(port, size));
  }
  outputString(record, size) {
    const { state, memory, operands } = this.core;
    const port = state.gpr32(RDX2) & 65535;
    const [low2, high2] = this.index(record, RSI);
    this.checkPermission(port, size);
    const value = memory.read(operands.segment(record), low2, high2, size);
    this.output(port, size, value);
  }
  /** One iteration, or with REP as many as a page, the fuel and pending events allow. */
  repeat(record, size, register, iteration) {
    const { core } = this;
    const { state, operands } = core;
    const shift3 = state.u8[record + Record.addressShift];
    const step2 = state.flagsRest & Eflags.DF ? -size : size;
    if ((operands.flags(record) & (RecordFlags.rep | RecordFlags.repne)) === 0) {
      iteration();
      this.advanceIndex(register, step2, shift3);
      return core.proceed(record);
    }
    const fuel = State.fuel >> 2;
    for (let done = 1; ; done++) {
      if (this.count(shift3) === 0n) return core.proceed(record);
      iteration();
      this.advanceIndex(register, step2, shift3);
      this.advanceIndex(RCX2, -1, shift3);
      if (this.count(shift3) === 0n) return core.proceed(record);
      const outcome = core.leave();
      if (outcome === Outcome.exit || done * size >= PAGE2 || state.i32[fuel] <= 1) return outcome;
      state.i32[fuel] = state.i32[fuel] - 1;
    }
  }
  count(shift3) {
    return BigInt.asUintN(64 - shift3, this.core.state.gpr64(RCX2));
  }
  advanceIndex(register, step2, shift3) {
    const { state } = this.core;
    const at = State.gpr + register * 8;
    if (shift3 === 48) state.view.setUint16(at, state.gpr32(register) + step2 & 65535, true);
    else if (shift3 === 32) state.setGpr32(register, state.gpr32(register) + step2 | 0);
    else state.setGpr64(register, state.gpr64(register) + BigInt(step2));
  }
};

// emulator/cpu/segment-instructions.ts
function segmentInstructions(core) {
  const { state, memory, segmentation, operands } = core;
  const loaded2 = (record, segment) => {
    if (segment !== Segment.ss) return Outcome.next;
    core.beginStackShadow();
    return operands.advance(record, core.leave());
  };
  const baseOf = (segment, write) => {
    return (record, size) => {
      if (!state.mode64 || (state.cr4 & Cr4.FSGSBASE) === 0) throw new Fault(Vector.invalidOpcode);
      const register = operands.register(record, 0);
      if (write) {
        const low2 = operands.readRegister(register, size);
        const high2 = size === 8 ? operands.high : 0;
        if (!isCanonical(high2)) throw new Fault(Vector.generalProtection, 0);
        state.setSegmentBase(segment, BigInt(high2) << 32n | BigInt(low2));
      } else operands.writeRegister(register, size, state.baseLow(segment), state.baseHigh(segment));
      return Outcome.next;
    };
  };
  return {
    moveToSegment(record) {
      const segment = operands.register(record, 0);
      if (segment === Segment.cs) throw new Fault(Vector.invalidOpcode);
      segmentation.load(segment, operands.readRm(record, 1, 2));
      return loaded2(record, segment);
    },
    moveFromSegment(record, size) {
      const selector = state.selector(operands.register(record, 1));
      if (operands.isMemory(record)) operands.writeMemory(record, 2, selector);
      else operands.writeRegister(operands.register(record, 0), size, selector);
      return Outcome.next;
    },
    pushSegment(record, size) {
      const selector = state.selector(operands.register(record, 0));
      operands.pokeStack(-size, size === 4 ? 2 : size, selector);
      operands.moveStack(-size);
      return Outcome.next;
    },
    popSegment(record, size) {
      const segment = operands.register(record, 0);
      const selector = operands.peekStack(0, size) & 65535;
      const shift3 = state.i32[State.stackMaskShift >> 2];
      segmentation.load(segment, selector);
      const now = state.i32[State.stackMaskShift >> 2];
      state.i32[State.stackMaskShift >> 2] = shift3;
      operands.moveStack(size);
      state.i32[State.stackMaskShift >> 2] = now;
      return loaded2(record, segment);
    },
    /** LDS, LES, LFS, LGS, LSS: parameter = size | segment << 8. */
    loadFarPointer(record, parameter) {
      const size = parameter & 255;
      const segment = parameter >> 8;
      const low2 = operands.readMemory(record, size);
      const high2 = size === 8 ? operands.high : 0;
      const selector = operands.readMemory(record, 2, size);
      segmentation.load(segment, selector);
      operands.writeRegister(operands.register(record, 0), size, low2, high2);
      return segment === Segment.ss ? operands.advance(record, core.leave()) : Outcome.next;
    },
    swapgs() {
      if (!state.mode64) throw new Fault(Vector.invalidOpcode);
      if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
      const base = state.base(Segment.gs);
      state.setSegmentBase(Segment.gs, state.i64[kernelGsBaseSlot >> 3]);
      state.i64[kernelGsBaseSlot >> 3] = base;
      return Outcome.next;
    },
    rdfsbase: baseOf(Segment.fs, false),
    rdgsbase: baseOf(Segment.gs, false),
    wrfsbase: baseOf(Segment.fs, true),
    wrgsbase: baseOf(Segment.gs, true),
    /** CLFLUSH: caches are not modelled; the address is checked as a byte read (SDM Vol. 2A, CLFLUSH). */
    clflush(record) {
      operands.locate(record);
      memory.probeRead(operands.segmentOf(record), operands.offsetLow, operands.offsetHigh);
      return Outcome.next;
    }
  };
}

// emulator/cpu/software-interrupt.ts
var IO_MAP_BASE2 = 102;
function softwareInterrupts(core, delivery) {
  const { state, operands, memory } = core;
  const raise = (record, vector2, source) => {
    const low2 = operands.nextRip(record);
    if (!delivery.software(vector2, source, low2, operands.high)) return Outcome.exit;
    return core.leave();
  };
  const isRedirected = (vector2) => {
    const tss = state.baseLow(Segment.tr);
    const limit = state.limit(Segment.tr);
    if (IO_MAP_BASE2 + 1 > limit) throw new Fault(Vector.generalProtection, 0);
    const at = memory.readLinear(tss + IO_MAP_BASE2 | 0, 0, 2) - 32 + (vector2 >> 3);
    if (at < 0 || at > limit) throw new Fault(Vector.generalProtection, 0);
    return (memory.readLinear(tss + at | 0, 0, 1) >> (vector2 & 7) & 1) === 0;
  };
  const redirect = (record, vector2) => {
    const handler = memory.readLinear(vector2 * 4, 0, 4, PageAccess.user);
    const virtual = state.iopl < 3;
    let flags = core.readEflags();
    if (virtual) flags = flags & ~Eflags.IF | Eflags.IOPL | (flags & Eflags.VIF ? Eflags.IF : 0);
    operands.pokeStack(-2, 2, flags);
    operands.pokeStack(-4, 2, state.selector(Segment.cs));
    operands.pokeStack(-6, 2, operands.nextRip(record));
    operands.moveStack(-6);
    state.flagsRest &= ~(Eflags.TF | Eflags.NT | (virtual ? Eflags.VIF : Eflags.IF));
    core.segmentation.loadRealMode(Segment.cs, handler >>> 16);
    state.setRip(handler & 65535, 0);
    state.updateMode();
    return core.leave();
  };
  return {
    interrupt(record) {
      const vector2 = operands.immediate(record) & 255;
      if (state.virtual8086) {
        if (state.cr4 & Cr4.VME && isRedirected(vector2)) return redirect(record, vector2);
        if (state.iopl < 3) throw new Fault(Vector.generalProtection, 0);
      }
      return raise(record, vector2, "software");
    },
    interrupt3: (record) => raise(record, Vector.breakpoint, "software"),
    interruptOverflow(record) {
      if (state.mode64) throw new Fault(Vector.invalidOpcode);
      if ((core.flags.readEflags() & Eflags.OF) === 0) return Outcome.next;
      return raise(record, Vector.overflow, "software");
    },
    interrupt1: (record) => raise(record, Vector.debug, "int1"),
    /** BOUND: register 0 is the index, the memory operand the two bounds (SDM Vol. 2A, BOUND). */
    bound(record, size) {
      if (state.mode64) throw new Fault(Vector.invalidOpcode);
      const signed = (value) => size === 2 ? value << 16 >> 16 : value | 0;
      const lower = signed(operands.readMemory(record, size));
      const upper = signed(operands.readMemory(record, size, size));
      const index2 = signed(operands.readRegister(operands.register(record, 0), size));
      if (index2 < lower || index2 > upper) throw new Fault(Vector.boundRange);
      return Outcome.next;
    }
  };
}

// emulator/cpu/system-calls.ts
var FLAT = Access.accessed | Access.S | Access.P | Access.G;
var CODE = FLAT | Access.code | Access.readable;
var DATA = FLAT | Access.writable | Access.DB;
var SYSRET_FLAGS = 3964887;
var RCX3 = 1;
var RDX3 = 2;
var RSP = 4;
var R11 = 11;
function systemCalls(core) {
  const { state, operands } = core;
  const enter2 = (cs, ss, cpl, mode) => {
    const size = mode === 64 ? Access.L : Access.DB;
    const dpl = cpl << Access.dplShift;
    state.setSegment(Segment.cs, cs | cpl, CODE | size | dpl, 0, 0, 4294967295 | 0);
    state.setSegment(Segment.ss, ss | cpl, DATA | dpl, 0, 0, 4294967295 | 0);
    state.cpl = cpl;
    state.updateMode();
  };
  const word = (at) => state.i32[at >> 2];
  const requireSyscall = () => {
    if (!state.mode64 || (state.efer & Efer.SCE) === 0) throw new Fault(Vector.invalidOpcode);
  };
  return {
    sysenter() {
      const selector = word(SystemCallMsr.sysenterCs) & 65532;
      if (!state.protectedMode || selector === 0) throw new Fault(Vector.generalProtection, 0);
      const wide = state.longMode;
      state.flagsRest &= ~(Eflags.VM | Eflags.IF | Eflags.RF);
      enter2(selector, selector + 8 & 65532, 0, wide ? 64 : 32);
      state.setGpr32(RSP, word(SystemCallMsr.sysenterEsp));
      if (wide) state.i32[(State.gpr + RSP * 8 >> 2) + 1] = word(SystemCallMsr.sysenterEsp + 4);
      state.setRip(word(SystemCallMsr.sysenterEip), wide ? word(SystemCallMsr.sysenterEip + 4) : 0);
      return core.leave();
    },
    /** Parameter 8: return to 64-bit mode. */
    sysexit(_record, size) {
      const selector = word(SystemCallMsr.sysenterCs) & 65532;
      if (!state.protectedMode || selector === 0 || state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
      const wide = size === 8;
      const rdx = state.gpr64(RDX3);
      const rcx = state.gpr64(RCX3);
      const high2 = (value) => Number(BigInt.asIntN(32, value >> 32n));
      if (wide && !(isCanonical(high2(rdx)) && isCanonical(high2(rcx)))) throw new Fault(Vector.generalProtection, 0);
      const first = selector + (wide ? 32 : 16) & 65532;
      enter2(first, first + 8 & 65532, 3, wide ? 64 : 32);
      state.setGpr64(RSP, wide ? rcx : BigInt.asUintN(32, rcx));
      state.rip = wide ? rdx : BigInt.asUintN(32, rdx);
      return core.leave();
    },
    syscall(record) {
      requireSyscall();
      const low2 = operands.nextRip(record);
      state.setGpr64(RCX3, BigInt(operands.high) << 32n | BigInt(low2 >>> 0));
      const flags = core.readEflags() & ~Eflags.RF;
      state.setGpr64(R11, BigInt(flags));
      const selector = word(SystemCallMsr.star + 4) & 65532;
      core.writeEflags(flags & ~word(SystemCallMsr.fmask), -1);
      enter2(selector, selector + 8 & 65532, 0, 64);
      state.setRip(word(SystemCallMsr.lstar), word(SystemCallMsr.lstar + 4));
      return core.leave();
    },
    /** Parameter 8: return to 64-bit mode, else to compatibility mode. */
    sysret(_record, size) {
      requireSyscall();
      if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
      const wide = size === 8;
      const rcx = state.gpr64(RCX3);
      if (wide && !isCanonical(Number(BigInt.asIntN(32, rcx >> 32n)))) throw new Fault(Vector.generalProtection, 0);
      const base = word(SystemCallMsr.star + 4) >>> 16 & 65535;
      const code = (wide ? base + 16 : base) & 65532;
      const flags = state.gpr32(R11) & SYSRET_FLAGS;
      core.writeEflags(flags, ~Eflags.VM);
      enter2(code, base + 8 & 65532, 3, wide ? 64 : 32);
      state.rip = wide ? rcx : BigInt.asUintN(32, rcx);
      return core.leave();
    }
  };
}

// emulator/cpu/task-switch.ts
var LAYOUT_32 = { cr3: 28, ip: 32, flags: 36, gpr: 40, segments: 72, ldt: 96, trap: 100, width: 4 };
var LAYOUT_16 = { cr3: -1, ip: 14, flags: 16, gpr: 18, segments: 34, ldt: 42, trap: -1, width: 2 };
var MINIMUM_LIMIT_32 = 103;
var MINIMUM_LIMIT_16 = 43;
var SEGMENT_ORDER = [Segment.es, Segment.cs, Segment.ss, Segment.ds, Segment.fs, Segment.gs];
var LOCAL_BREAKPOINTS = 341;
var DEBUG_TASK_SWITCH = 1 << 15;
var TaskSwitch = class {
  constructor(core) {
    this.core = core;
  }
  core;
  /** The TSS descriptor of a selector for JMP, CALL, a task gate or an interrupt. @throws {Fault} #GP, #NP with the selector. */
  findAvailable(selector) {
    if ((selector & ~3) === 0 || selector & 4) throw selectorFault(Vector.generalProtection, selector);
    const descriptor = this.core.segmentation.read(selector);
    const { type } = descriptor;
    if (!descriptor.isSystem || type !== SystemType.availableTss && type !== SystemType.availableTss16)
      throw selectorFault(Vector.generalProtection, selector);
    if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
    return descriptor;
  }
  /** The back link of the current TSS and its descriptor, for IRET with NT set. @throws {Fault} #TS, #NP */
  findPrevious() {
    const { memory, segmentation, state } = this.core;
    const selector = memory.readLinear(state.baseLow(Segment.tr), 0, 2);
    if ((selector & ~3) === 0 || selector & 4) throw selectorFault(Vector.invalidTss, selector);
    const descriptor = segmentation.read(selector, Vector.invalidTss);
    const { type } = descriptor;
    if (!descriptor.isSystem || type !== SystemType.busyTss && type !== SystemType.busyTss16)
      throw selectorFault(Vector.invalidTss, selector);
    if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
    return { selector, descriptor };
  }
  /**
   * Switches to the task (SDM Vol. 3A §7.3). `eip` is what the old task goes on with. Returns the width in bytes of the new TSS,
   * with which an error code is pushed. @throws {Fault} in the old task before anything has changed, or in the new one after.
   */
  switchTo(selector, descriptor, source, eip) {
    const { core } = this;
    const { state, memory, segmentation } = core;
    const wide = (descriptor.type & 8) !== 0;
    const layout = wide ? LAYOUT_32 : LAYOUT_16;
    if (descriptor.limit < (wide ? MINIMUM_LIMIT_32 : MINIMUM_LIMIT_16))
      throw selectorFault(Vector.invalidTss, selector);
    const base = descriptor.baseLow;
    const oldBase = state.baseLow(Segment.tr);
    const oldSelector = state.selector(Segment.tr);
    const oldWide = (state.access(Segment.tr) & 8) !== 0;
    const incoming = this.read(base, layout);
    let flags = core.readEflags();
    if (source === "return") flags &= ~Eflags.NT;
    this.save(oldBase, oldWide ? LAYOUT_32 : LAYOUT_16, eip, flags);
    if (source === "jump" || source === "return") segmentation.setBusy(oldSelector, false);
    if (source === "call" || source === "interrupt") memory.writeLinear(base, 0, 2, oldSelector);
    if (source !== "return") segmentation.setBusy(selector, true);
    state.setSegment(Segment.tr, selector, descriptor.access | 2, base, 0, descriptor.limit);
    state.cr0 |= Cr0.TS;
    state.i32[State.dr + 7 * 8 >> 2] &= ~LOCAL_BREAKPOINTS;
    if (wide && state.cr0 & Cr0.PG) this.loadCr3(incoming.cr3);
    state.setRip(incoming.ip, 0);
    for (let register = 0; register < 8; register++) state.setGpr32(register, incoming.gpr[register]);
    let newFlags = incoming.flags;
    if (source === "call" || source === "interrupt") newFlags |= Eflags.NT;
    core.flags.writeEflags(newFlags, wide ? -1 : 65535);
    if (!wide) core.flags.writeEflags(0, Eflags.VM | Eflags.RF);
    if (incoming.trap) state.i32[Internal.pendingDebug >> 2] |= DEBUG_TASK_SWITCH;
    this.loadSegments(incoming.ldt, incoming.segments);
    return layout.width;
  }
  read(base, layout) {
    const { memory } = this.core;
    const at = (offset, size) => memory.readLinear(base + offset | 0, 0, size);
    const { width } = layout;
    const gpr = [];
    for (let register = 0; register < 8; register++) {
      const value = at(layout.gpr + register * width, width);
      gpr.push(width === 2 ? value | (4294901760 | 0) : value | 0);
    }
    const segments = [];
    for (let index2 = 0; index2 < 6; index2++)
      segments.push(width === 4 || index2 < 4 ? at(layout.segments + index2 * width, 2) : 0);
    return {
      cr3: layout.cr3 < 0 ? 0 : at(layout.cr3, 4) | 0,
      ip: at(layout.ip, width),
      flags: at(layout.flags, width) | 0,
      gpr,
      segments,
      ldt: at(layout.ldt, 2),
      trap: layout.trap >= 0 && (at(layout.trap, 2) & 1) !== 0
    };
  }
  save(base, layout, eip, flags) {
    const { memory, state } = this.core;
    const { width } = layout;
    const put = (offset, size, value) => memory.writeLinear(base + offset | 0, 0, size, value);
    put(layout.ip, width, eip);
    put(layout.flags, width, flags);
    for (let register = 0; register < 8; register++) put(layout.gpr + register * width, width, state.gpr32(register));
    for (let index2 = 0; index2 < (width === 4 ? 6 : 4); index2++)
      put(layout.segments + index2 * width, 2, state.selector(SEGMENT_ORDER[index2]));
  }
  loadCr3(value) {
    const { state, paging } = this.core;
    if (state.cr4 & Cr4.PAE && !paging.loadPdptes(value)) throw new Fault(Vector.generalProtection, 0);
    state.i64[State.cr3 >> 3] = BigInt(value >>> 0);
    paging.flush();
  }
  /** Segments of the new task, with faults of the new task (SDM Vol. 3A §7.3, step 14; Table 7-1). */
  loadSegments(ldt, selectors) {
    const { core } = this;
    const { state, segmentation } = core;
    const virtual8086 = state.virtual8086;
    SEGMENT_ORDER.forEach((segment, index2) => {
      state.setNullSegment(segment, selectors[index2]);
    });
    state.cpl = virtual8086 ? 3 : selectors[1] & 3;
    state.setNullSegment(Segment.ldtr, ldt);
    state.updateMode();
    segmentation.loadLdtr(ldt, Vector.invalidTss);
    if (virtual8086) {
      SEGMENT_ORDER.forEach((segment, index2) => {
        segmentation.loadRealMode(segment, selectors[index2]);
      });
      state.updateMode();
      return;
    }
    const cs = selectors[1];
    const cpl = cs & 3;
    if ((cs & ~3) === 0) throw selectorFault(Vector.invalidTss, cs);
    const code = segmentation.read(cs, Vector.invalidTss);
    if (!code.isCode || (code.isConforming ? code.dpl > cpl : code.dpl !== cpl))
      throw selectorFault(Vector.invalidTss, cs);
    if (!code.present) throw selectorFault(Vector.segmentNotPresent, cs);
    segmentation.commit(Segment.cs, cs, code);
    const ss = selectors[2];
    if ((ss & ~3) === 0) throw selectorFault(Vector.invalidTss, ss);
    segmentation.commit(Segment.ss, ss, segmentation.readStack(ss, cpl, Vector.invalidTss));
    state.updateMode();
    for (const index2 of [0, 3, 4, 5]) this.loadData(SEGMENT_ORDER[index2], selectors[index2], cpl);
    if (state.eip > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
  }
  loadData(segment, selector, cpl) {
    const { segmentation } = this.core;
    if ((selector & ~3) === 0) return;
    const descriptor = segmentation.read(selector, Vector.invalidTss);
    const conforming = (descriptor.access & (Access.code | Access.conforming)) === (Access.code | Access.conforming);
    if (!descriptor.isReadable || !conforming && (descriptor.dpl < cpl || descriptor.dpl < (selector & 3)))
      throw selectorFault(Vector.invalidTss, selector);
    if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
    segmentation.commit(segment, selector, descriptor);
  }
};

// emulator/cpu/processor.ts
var CoprocessorUse = { x87: 0, mmx: 1, sse: 2, wait: 3 };
var ArchitecturalProcessor = class {
  core;
  delivery;
  debug;
  control;
  modelSpecific;
  cpuid;
  helpers;
  /** Watches of debuggers and the VMM; the debug registers' own comes with them. */
  watches = [];
  constructor(surroundings) {
    const features = { ...DEFAULT_FEATURES, ...surroundings.features };
    const core = new ProcessorCore(surroundings.physical, surroundings.tlb, surroundings.retired);
    const tasks = new TaskSwitch(core);
    this.core = core;
    this.delivery = new InterruptDelivery(core, tasks);
    this.debug = new DebugRegisters(core);
    this.control = new ControlRegisters(core, features);
    this.modelSpecific = new ModelSpecificRegisters(core, surroundings.timestamp);
    this.cpuid = new Cpuid(core, features);
    const far = new FarTransfer(core, tasks, this.delivery);
    const { jumpFar, jumpFarMemory, callFar, callFarMemory, returnFar } = far;
    const { moveToDebug, moveFromDebug } = this.debug;
    const undefinedInstruction = () => {
      throw new Fault(Vector.invalidOpcode);
    };
    this.helpers = {
      ...segmentInstructions(core),
      ...descriptorInstructions(core),
      ...flagsInstructions(core),
      ...softwareInterrupts(core, this.delivery),
      ...systemCalls(core),
      ...floatingPointHelpers({
        physical: surroundings.physical,
        slowRead: (record, low2, high2, kind) => core.memory.slowRead(record, low2, high2, kind),
        slowWrite: (record, low2, high2, kind) => core.memory.slowWrite(record, low2, high2, kind),
        probeWrite: (segment, low2, high2, size) => core.memory.probeWrite(segment, low2, high2, size),
        fetchAddress: (rip) => core.memory.fetchAddress(rip),
        ferr: surroundings.ferr ?? (() => {
        })
      }),
      ...this.control.helpers,
      ...this.modelSpecific.helpers,
      ...new PortIo(core, surroundings.ports, this.debug).helpers,
      cpuid: this.cpuid.cpuid,
      iret: new InterruptReturn(core, tasks).iret,
      jumpFar,
      jumpFarMemory,
      callFar,
      callFarMemory,
      returnFar,
      moveToDebug,
      moveFromDebug,
      undefined: undefinedInstruction,
      // CPUID reports none of these.
      monitor: undefinedInstruction,
      mwait: undefinedInstruction,
      xgetbv: undefinedInstruction,
      deviceNotAvailable: (_record, use) => this.deviceNotAvailable(use)
    };
    this.debug.onDataBreakpoints = () => this.applyWatches();
    this.reset();
  }
  /** Power-on (SDM Vol. 3A §9.1). */
  reset() {
    this.core.state.reset();
    this.modelSpecific.reset();
    this.applyWatches();
  }
  /** To be called after the state bytes were replaced as a whole (a snapshot was restored). */
  restored() {
    this.core.state.restored();
    this.applyWatches();
  }
  slowRead(record, offsetLow, offsetHigh, kind) {
    this.core.memory.slowRead(record, offsetLow, offsetHigh, kind);
  }
  slowWrite(record, offsetLow, offsetHigh, kind) {
    this.core.memory.slowWrite(record, offsetLow, offsetHigh, kind);
  }
  fetchAddress(rip) {
    return this.core.memory.fetchAddress(rip);
  }
  deliver(fault) {
    return this.delivery.deliver(fault);
  }
  /** Replaces the watches of debuggers and the VMM. */
  setWatches(watches) {
    this.watches = watches;
    this.applyWatches();
  }
  applyWatches() {
    const own = this.debug.hasDataBreakpoints ? [this.debug] : [];
    this.core.memory.setWatches([...this.watches, ...own]);
  }
  // For the run loop.
  /** True while STI, MOV SS or POP SS hold interrupts back. */
  get inInterruptShadow() {
    const { state, retired } = this.core;
    return retired() < state.internal(Internal.shadowBoundary);
  }
  /** True when takeExternalInterrupt() may be called now. */
  get canTakeInterrupt() {
    return (this.core.state.flagsRest & Eflags.IF) !== 0 && !this.inInterruptShadow;
  }
  /** True when takeNmi() may be called now. */
  get canTakeNmi() {
    return this.core.state.i32[Internal.nmiBlocked >> 2] === 0 && !this.inInterruptShadow;
  }
  /** One of Activity. */
  get activity() {
    return this.core.state.i32[Internal.activity >> 2];
  }
  get halted() {
    return this.activity === Activity.halted;
  }
  /** True when single instructions have to be run: EFLAGS.TF, breakpoints in the debug registers, or an interrupt shadow. */
  get needsSingleSteps() {
    const { state } = this.core;
    if (state.flagsRest & Eflags.TF || this.inInterruptShadow || state.i32[Internal.pendingDebug >> 2] !== 0)
      return true;
    return (state.i32[State.dr + 7 * 8 >> 2] & 255) !== 0;
  }
  /** Delivers an external interrupt between instructions and ends HLT; false after shutdown. */
  takeExternalInterrupt(vector2) {
    return this.delivery.interrupt(vector2, "external");
  }
  /** Delivers an NMI between instructions, blocks further ones until IRET and ends HLT; false after shutdown. */
  takeNmi() {
    return this.delivery.interrupt(Vector.nmi, "nmi");
  }
  /**
   * The debug trap after an instruction: data and I/O breakpoints that it hit, the T flag of a new task, and single-step when TF
   * was set as it began (SDM Vol. 3B §17.3.1). Undefined when there is none, or MOV SS holds it back (Vol. 3A §6.8.3).
   */
  debugTrapAfter(trapFlagWasSet) {
    const { state, retired } = this.core;
    if (retired() < state.internal(Internal.debugShadowBoundary)) return void 0;
    const pending = state.i32[Internal.pendingDebug >> 2] | (trapFlagWasSet ? 1 << 14 : 0);
    state.i32[Internal.pendingDebug >> 2] = 0;
    return pending ? this.debug.raise(pending) : void 0;
  }
  /** The #DB of an instruction breakpoint at the next instruction; undefined when there is none or RF holds it back. */
  debugFaultBefore() {
    const { state } = this.core;
    if (!this.debug.hasExecutionBreakpoints || this.core.readEflags() & Eflags.RF) return void 0;
    const base = BigInt.asUintN(64, state.i64[State.segments + 48 >> 3]);
    const linear = BigInt.asUintN(state.mode64 ? 64 : 32, base + state.rip);
    const hits = this.debug.executionHits(linear);
    return hits ? this.debug.raise(hits) : void 0;
  }
  /** #UD or #NM for an instruction that State.x87Trap or State.sseTrap stopped (SDM Vol. 3A Table 2-2, §13.1.4). */
  deviceNotAvailable(use) {
    const { cr0, cr4 } = this.core.state;
    if (use === CoprocessorUse.wait) {
      if ((cr0 & (Cr0.MP | Cr0.TS)) === (Cr0.MP | Cr0.TS)) throw new Fault(Vector.deviceNotAvailable);
      return Outcome.next;
    }
    if (use === CoprocessorUse.mmx && cr0 & Cr0.EM) throw new Fault(Vector.invalidOpcode);
    if (use === CoprocessorUse.sse && (cr0 & Cr0.EM || !(cr4 & Cr4.OSFXSR))) throw new Fault(Vector.invalidOpcode);
    if (cr0 & (Cr0.EM | Cr0.TS)) throw new Fault(Vector.deviceNotAvailable);
    return Outcome.next;
  }
};

// emulator/devices/clock.ts
function before(a, b) {
  return a.time < b.time || a.time === b.time && a.order < b.order;
}
var VirtualClock = class {
  time = 0;
  asked = 0;
  heap = [];
  cancelled = 0;
  /**
   * While the processor runs between two calls of advanceTo(), time is what `live` says: a device that is read in the middle
   * of a run sees the current instruction's moment. Undefined: time stands where advanceTo() left it.
   */
  live;
  now() {
    return this.live ? Math.max(this.time, this.live()) : this.time;
  }
  at(time, action) {
    if (!Number.isSafeInteger(time)) throw new RangeError(`An alarm needs a whole nanosecond below 2^53, not ${time}.`);
    const entry = {
      time,
      order: this.asked++,
      action,
      cancel: () => {
        if (entry.action === void 0) return;
        entry.action = void 0;
        if (++this.cancelled * 2 > this.heap.length + 16) this.dropCancelled();
      }
    };
    this.heap.push(entry);
    this.siftUp(this.heap.length - 1);
    return entry;
  }
  /** Time of the earliest pending alarm in nanoseconds (it may have passed already); Infinity if none is pending. */
  nextAlarm() {
    while (this.heap.length > 0 && this.heap[0].action === void 0) {
      this.pop();
      this.cancelled--;
    }
    return this.heap.length > 0 ? this.heap[0].time : Number.POSITIVE_INFINITY;
  }
  /**
   * Moves time forward to `target` and runs what falls due, by time, then by the order of asking. An action sees the time
   * of its alarm. An alarm asked for during an action for a moment that has come already waits for the next call, so no chain
   * of alarms can hold this one up for ever.
   */
  advanceTo(target) {
    if (!Number.isSafeInteger(target) || target < this.time)
      throw new RangeError(`Virtual time is ${this.time} ns and cannot be moved to ${target}.`);
    const late = [];
    const first = this.asked;
    while (this.nextAlarm() <= target) {
      const entry = this.pop();
      if (entry.time <= this.time && entry.order >= first) {
        late.push(entry);
        continue;
      }
      if (entry.time > this.time) this.time = entry.time;
      const action = entry.action;
      entry.action = void 0;
      action();
    }
    this.time = target;
    for (const entry of late) {
      this.heap.push(entry);
      this.siftUp(this.heap.length - 1);
    }
  }
  /** Sets the time, as a snapshot has it, and drops all alarms: each device asks for its own again when it is restored. */
  restore(time) {
    if (!Number.isSafeInteger(time) || time < 0) throw new RangeError(`${time} is no virtual time.`);
    this.time = time;
    this.heap = [];
    this.cancelled = 0;
    this.asked = 0;
  }
  dropCancelled() {
    const pending = this.heap.filter((entry) => entry.action !== void 0).sort((a, b) => before(a, b) ? -1 : 1);
    this.heap = pending;
    this.cancelled = 0;
  }
  pop() {
    const heap = this.heap;
    const top = heap[0];
    const last = heap.pop();
    if (heap.length === 0) return top;
    let index2 = 0;
    for (; ; ) {
      let child = 2 * index2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], last)) break;
      heap[index2] = heap[child];
      index2 = child;
    }
    heap[index2] = last;
    return top;
  }
  siftUp(index2) {
    const heap = this.heap;
    const entry = heap[index2];
    while (index2 > 0) {
      const parent = index2 - 1 >> 1;
      if (!before(entry, heap[parent])) break;
      heap[index2] = heap[parent];
      index2 = parent;
    }
    heap[index2] = entry;
  }
};

// emulator/engine/built-in-helpers.ts
var WITH_ERROR_CODE = /* @__PURE__ */ new Set([
  Vector.doubleFault,
  Vector.invalidTss,
  Vector.segmentNotPresent,
  Vector.stackFault,
  Vector.generalProtection,
  Vector.pageFault,
  Vector.alignmentCheck
]);
var RAX3 = State.gpr >> 3;
var RDX4 = (State.gpr >> 3) + 2;
function builtInHelpers(physical) {
  const { i64: i6410 } = physical;
  return {
    /** Raises the exception `vector`, with error code 0 where it has one. */
    raise: (_record, vector2) => {
      throw new Fault(vector2, WITH_ERROR_CODE.has(vector2) ? 0 : void 0);
    },
    /** RDX:RAX divided by State.helperResult (SDM Vol. 2, DIV and IDIV, 64-bit operand). */
    divide128: (_record, signed) => {
      const wide = signed ? BigInt.asIntN : BigInt.asUintN;
      const divisor = wide(64, i6410[State.helperResult >> 3]);
      if (divisor === 0n) throw new Fault(Vector.divideError);
      const dividend = wide(128, i6410[RDX4] << 64n | BigInt.asUintN(64, i6410[RAX3]));
      const quotient = dividend / divisor;
      if (wide(64, quotient) !== quotient) throw new Fault(Vector.divideError);
      i6410[RAX3] = quotient;
      i6410[RDX4] = dividend % divisor;
      return Outcome.next;
    }
  };
}

// emulator/isa/emit/code-writer.ts
var CodeWriter = class _CodeWriter {
  buffer = new Uint8Array(1024);
  length = 0;
  grow(more) {
    if (this.length + more <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + more));
    larger.set(this.buffer);
    this.buffer = larger;
  }
  byte(value) {
    if (this.length === this.buffer.length) this.grow(1);
    this.buffer[this.length++] = value;
  }
  bytes(values) {
    this.grow(values.length);
    this.buffer.set(values, this.length);
    this.length += values.length;
  }
  /** Unsigned LEB128, 32 bits. */
  unsigned(value) {
    let rest = value >>> 0;
    while (rest >= 128) {
      this.byte(rest & 127 | 128);
      rest >>>= 7;
    }
    this.byte(rest);
  }
  /** Signed LEB128, up to 64 bits. */
  signed(value) {
    if (typeof value === "number") {
      let rest2 = value | 0;
      for (; ; ) {
        const low2 = rest2 & 127;
        rest2 >>= 7;
        if (rest2 === 0 && (low2 & 64) === 0 || rest2 === -1 && (low2 & 64) !== 0) {
          this.byte(low2);
          return;
        }
        this.byte(low2 | 128);
      }
    }
    let rest = BigInt.asIntN(64, value);
    for (; ; ) {
      const low2 = Number(rest & 0x7fn);
      rest >>= 7n;
      if (rest === 0n && (low2 & 64) === 0 || rest === -1n && (low2 & 64) !== 0) {
        this.byte(low2);
        return;
      }
      this.byte(low2 | 128);
    }
  }
  /** A name: length and UTF-8 bytes (names here are ASCII). */
  name(text) {
    this.unsigned(text.length);
    for (let at = 0; at < text.length; at++) this.byte(text.charCodeAt(at));
  }
  /** A section: its id, its size and what `fill` writes. */
  section(id, fill) {
    const inside2 = new _CodeWriter();
    fill(inside2);
    this.byte(id);
    this.unsigned(inside2.length);
    this.bytes(inside2.result());
  }
  result() {
    return this.buffer.subarray(0, this.length);
  }
};

// emulator/isa/emit/value.ts
var ValueType = { i32: 127, i64: 126, f32: 125, f64: 124, v128: 123 };
var typeName = new Map(Object.entries(ValueType).map(([name, code]) => [code, name]));
function opcodeFor(type, opcodes, what) {
  const index2 = type === ValueType.i32 ? 0 : type === ValueType.i64 ? 1 : type === ValueType.f32 ? 2 : type === ValueType.f64 ? 3 : -1;
  const opcode = opcodes[index2] ?? 0;
  if (opcode === 0) throw new Error(`${what} is not an operation on ${typeName.get(type)}`);
  return opcode;
}
var Value = class _Value {
  constructor(type, write, constant) {
    this.type = type;
    this.write = write;
    this.constant = constant;
  }
  type;
  write;
  constant;
  static i32(value) {
    const number = Number(BigInt.asIntN(32, BigInt(value)));
    return new _Value(
      ValueType.i32,
      (out) => {
        out.byte(65);
        out.signed(number);
      },
      BigInt(number)
    );
  }
  static i64(value) {
    const wide = BigInt.asIntN(64, BigInt(value));
    return new _Value(
      ValueType.i64,
      (out) => {
        out.byte(66);
        out.signed(wide);
      },
      wide
    );
  }
  /** Lifts a plain number to a constant of this value's type. */
  lift(other) {
    if (other instanceof _Value) return other;
    if (this.type === ValueType.i32) return _Value.i32(other);
    if (this.type === ValueType.i64) return _Value.i64(other);
    throw new Error(`A plain number cannot stand for a ${typeName.get(this.type)}`);
  }
  binary(other, opcodes, what, result) {
    const right = this.lift(other);
    if (right.type !== this.type)
      throw new Error(`${what}: ${typeName.get(this.type)} and ${typeName.get(right.type)} do not go together`);
    const opcode = opcodeFor(this.type, opcodes, what);
    return new _Value(result ?? this.type, (out) => {
      this.write(out);
      right.write(out);
      out.byte(opcode);
    });
  }
  unary(opcodes, what, result) {
    const opcode = opcodeFor(this.type, opcodes, what);
    return new _Value(result ?? this.type, (out) => {
      this.write(out);
      out.byte(opcode);
    });
  }
  conversion(from, to, opcode, what) {
    if (this.type !== from) throw new Error(`${what} takes ${typeName.get(from)}, not ${typeName.get(this.type)}`);
    return new _Value(to, (out) => {
      this.write(out);
      out.byte(opcode);
    });
  }
  add(other) {
    return this.binary(other, [106, 124, 146, 160], "add");
  }
  sub(other) {
    return this.binary(other, [107, 125, 147, 161], "sub");
  }
  mul(other) {
    return this.binary(other, [108, 126, 148, 162], "mul");
  }
  divS(other) {
    return this.binary(other, [109, 127, 0, 0], "divS");
  }
  divU(other) {
    return this.binary(other, [110, 128, 0, 0], "divU");
  }
  div(other) {
    return this.binary(other, [0, 0, 149, 163], "div");
  }
  remS(other) {
    return this.binary(other, [111, 129, 0, 0], "remS");
  }
  remU(other) {
    return this.binary(other, [112, 130, 0, 0], "remU");
  }
  and(other) {
    return this.binary(other, [113, 131, 0, 0], "and");
  }
  or(other) {
    return this.binary(other, [114, 132, 0, 0], "or");
  }
  xor(other) {
    return this.binary(other, [115, 133, 0, 0], "xor");
  }
  shl(other) {
    return this.binary(other, [116, 134, 0, 0], "shl");
  }
  shrS(other) {
    return this.binary(other, [117, 135, 0, 0], "shrS");
  }
  shrU(other) {
    return this.binary(other, [118, 136, 0, 0], "shrU");
  }
  rotl(other) {
    return this.binary(other, [119, 137, 0, 0], "rotl");
  }
  rotr(other) {
    return this.binary(other, [120, 138, 0, 0], "rotr");
  }
  eq(other) {
    return this.binary(other, [70, 81, 91, 97], "eq", ValueType.i32);
  }
  ne(other) {
    return this.binary(other, [71, 82, 92, 98], "ne", ValueType.i32);
  }
  ltS(other) {
    return this.binary(other, [72, 83, 0, 0], "ltS", ValueType.i32);
  }
  ltU(other) {
    return this.binary(other, [73, 84, 0, 0], "ltU", ValueType.i32);
  }
  gtS(other) {
    return this.binary(other, [74, 85, 0, 0], "gtS", ValueType.i32);
  }
  gtU(other) {
    return this.binary(other, [75, 86, 0, 0], "gtU", ValueType.i32);
  }
  leS(other) {
    return this.binary(other, [76, 87, 0, 0], "leS", ValueType.i32);
  }
  leU(other) {
    return this.binary(other, [77, 88, 0, 0], "leU", ValueType.i32);
  }
  geS(other) {
    return this.binary(other, [78, 89, 0, 0], "geS", ValueType.i32);
  }
  geU(other) {
    return this.binary(other, [79, 90, 0, 0], "geU", ValueType.i32);
  }
  /** Floating-point comparisons: false when an operand is a NaN. */
  lt(other) {
    return this.binary(other, [0, 0, 93, 99], "lt", ValueType.i32);
  }
  gt(other) {
    return this.binary(other, [0, 0, 94, 100], "gt", ValueType.i32);
  }
  le(other) {
    return this.binary(other, [0, 0, 95, 101], "le", ValueType.i32);
  }
  ge(other) {
    return this.binary(other, [0, 0, 96, 102], "ge", ValueType.i32);
  }
  sqrt() {
    return this.unary([0, 0, 145, 159], "sqrt");
  }
  eqz() {
    return this.unary([69, 80, 0, 0], "eqz", ValueType.i32);
  }
  clz() {
    return this.unary([103, 121, 0, 0], "clz");
  }
  ctz() {
    return this.unary([104, 122, 0, 0], "ctz");
  }
  popcnt() {
    return this.unary([105, 123, 0, 0], "popcnt");
  }
  /** Sign-extends the low 8, 16 or 32 bits within the type. */
  extend8S() {
    return this.unary([192, 194, 0, 0], "extend8S");
  }
  extend16S() {
    return this.unary([193, 195, 0, 0], "extend16S");
  }
  extend32S() {
    return this.unary([0, 196, 0, 0], "extend32S");
  }
  not() {
    return this.xor(-1);
  }
  neg() {
    return this.lift(0).sub(this);
  }
  /** i64 → i32, low half. */
  wrap() {
    return this.conversion(ValueType.i64, ValueType.i32, 167, "wrap");
  }
  /** i32 → i64. */
  extendS() {
    return this.conversion(ValueType.i32, ValueType.i64, 172, "extendS");
  }
  extendU() {
    return this.conversion(ValueType.i32, ValueType.i64, 173, "extendU");
  }
  /** The value as i64: itself, or zero-extended. */
  toI64U() {
    return this.type === ValueType.i64 ? this : this.extendU();
  }
  /** The value as i32: itself, or its low half. */
  toI32() {
    return this.type === ValueType.i32 ? this : this.wrap();
  }
  /** The value in the given integer type, zero-extended or cut. */
  as(type) {
    return type === ValueType.i64 ? this.toI64U() : this.toI32();
  }
  promote() {
    return this.conversion(ValueType.f32, ValueType.f64, 187, "promote");
  }
  demote() {
    return this.conversion(ValueType.f64, ValueType.f32, 182, "demote");
  }
  asF32Bits() {
    return this.conversion(ValueType.i32, ValueType.f32, 190, "asF32Bits");
  }
  asF64Bits() {
    return this.conversion(ValueType.i64, ValueType.f64, 191, "asF64Bits");
  }
  bitsOfF32() {
    return this.conversion(ValueType.f32, ValueType.i32, 188, "bitsOfF32");
  }
  bitsOfF64() {
    return this.conversion(ValueType.f64, ValueType.i64, 189, "bitsOfF64");
  }
  /** Any one-byte conversion or unary operation by opcode (WebAssembly core specification §5.4). */
  operation(opcode, result) {
    return new _Value(result, (out) => {
      this.write(out);
      out.byte(opcode);
    });
  }
  /** `this` (i32 condition) ? whenTrue : whenFalse; both are evaluated. */
  select(whenTrue, whenFalse) {
    if (this.type !== ValueType.i32 || whenTrue.type !== whenFalse.type)
      throw new Error("select: an i32 condition and two values of one type");
    return new _Value(whenTrue.type, (out) => {
      whenTrue.write(out);
      whenFalse.write(out);
      this.write(out);
      if (whenTrue.type === ValueType.v128) out.bytes([28, 1, ValueType.v128]);
      else out.byte(27);
    });
  }
  /** SIMD operation (prefix 0xfd) on this value and more operands; immediate bytes follow the opcode (lanes of a shuffle, lane numbers). */
  simd(opcode, result, others = [], immediates = []) {
    return new _Value(result, (out) => {
      this.write(out);
      for (const other of others) other.write(out);
      out.byte(253);
      out.unsigned(opcode);
      out.bytes(immediates);
    });
  }
};

// emulator/isa/emit/function-builder.ts
var EMPTY_BLOCK = 64;
var LOADS = {
  1: [45, 44, 49, 48],
  2: [47, 46, 51, 50],
  4: [40, 40, 53, 52],
  8: [0, 0, 41, 41]
};
var STORES_I32 = { 1: 58, 2: 59, 4: 54 };
var STORES_I64 = { 1: 60, 2: 61, 4: 62, 8: 55 };
var FunctionBuilder = class {
  constructor(parameters, results) {
    this.parameters = parameters;
    this.results = results;
  }
  parameters;
  results;
  body = new CodeWriter();
  locals = [];
  /** Locals that no open scope holds, by type. */
  free = /* @__PURE__ */ new Map();
  scope = [];
  depth = 0;
  parameter(index2) {
    return this.variableAt(this.parameters[index2], index2);
  }
  variableAt(type, index2) {
    return {
      type,
      index: index2,
      get: new Value(type, (out) => {
        out.byte(32);
        out.unsigned(index2);
      })
    };
  }
  /** A fresh local; it is given back when the enclosing scoped() ends. Its first value is whatever was there. */
  variable(type) {
    let index2 = this.free.get(type)?.pop();
    if (index2 === void 0) {
      index2 = this.parameters.length + this.locals.length;
      this.locals.push(type);
    }
    this.scope.push({ type, index: index2 });
    return this.variableAt(type, index2);
  }
  /** Runs `fill` and then lets its locals be used again. */
  scoped(fill) {
    const outer = this.scope;
    this.scope = [];
    fill();
    for (const { type, index: index2 } of this.scope) {
      const list = this.free.get(type);
      if (list) list.push(index2);
      else this.free.set(type, [index2]);
    }
    this.scope = outer;
  }
  /** Evaluates now; the result can be used many times. */
  let(value) {
    if (value.constant !== void 0) return value;
    const variable = this.variable(value.type);
    this.set(variable, value);
    return variable.get;
  }
  set(variable, value) {
    if (variable.type !== value.type) throw new Error("set: types differ");
    value.write(this.body);
    this.body.byte(33);
    this.body.unsigned(variable.index);
  }
  /** Loads `size` bytes at address (i32) + offset; the result has type `type`, zero-extended unless `signed`. */
  load(type, size, address, offset = 0, signed = false) {
    let opcode;
    if (type === ValueType.i32) opcode = LOADS[size][signed ? 1 : 0];
    else if (type === ValueType.i64) opcode = LOADS[size][signed ? 3 : 2];
    else if (type === ValueType.f32) opcode = 42;
    else if (type === ValueType.f64) opcode = 43;
    else
      return new Value(type, (out) => {
        address.write(out);
        out.bytes([253, 0, 0]);
        out.unsigned(offset);
      });
    if (opcode === 0) throw new Error(`load: ${size} bytes do not fit an i32`);
    return new Value(type, (out) => {
      address.write(out);
      out.bytes([opcode, 0]);
      out.unsigned(offset);
    });
  }
  store(size, address, value, offset = 0) {
    address.write(this.body);
    value.write(this.body);
    if (value.type === ValueType.v128) this.body.bytes([253, 11, 0]);
    else if (value.type === ValueType.i32) this.body.bytes([STORES_I32[size], 0]);
    else if (value.type === ValueType.i64) this.body.bytes([STORES_I64[size], 0]);
    else this.body.bytes([value.type === ValueType.f32 ? 56 : 57, 0]);
    this.body.unsigned(offset);
  }
  if(condition3, then, otherwise) {
    condition3.write(this.body);
    this.body.bytes([4, EMPTY_BLOCK]);
    this.depth++;
    this.scoped(then);
    if (otherwise) {
      this.body.byte(5);
      this.scoped(otherwise);
    }
    this.depth--;
    this.body.byte(11);
  }
  /** A block; br to its label leaves it. */
  block(fill) {
    this.structure(2, fill);
  }
  /** A loop; br to its label goes round again. */
  loop(fill) {
    this.structure(3, fill);
  }
  structure(opcode, fill) {
    this.body.bytes([opcode, EMPTY_BLOCK]);
    this.depth++;
    fill({ depth: this.depth });
    this.depth--;
    this.body.byte(11);
  }
  br(label) {
    this.body.byte(12);
    this.body.unsigned(this.depth - label.depth);
  }
  brIf(label, condition3) {
    condition3.write(this.body);
    this.body.byte(13);
    this.body.unsigned(this.depth - label.depth);
  }
  brTable(index2, labels, otherwise) {
    index2.write(this.body);
    this.body.byte(14);
    this.body.unsigned(labels.length);
    for (const label of labels) this.body.unsigned(this.depth - label.depth);
    this.body.unsigned(this.depth - otherwise.depth);
  }
  return(value) {
    value?.write(this.body);
    this.body.byte(15);
  }
  unreachable() {
    this.body.byte(0);
  }
  /** A call whose single result is used as a value (evaluated where it is consumed). */
  call(target, args) {
    if (target.results.length !== 1) throw new Error("call: a function with one result");
    return new Value(target.results[0], (out) => {
      for (const argument2 of args) argument2.write(out);
      out.byte(16);
      out.unsigned(target.index);
    });
  }
  /** A call for its effect; results are dropped. */
  callStatement(target, args) {
    for (const argument2 of args) argument2.write(this.body);
    this.body.byte(16);
    this.body.unsigned(target.index);
    for (let dropped = 0; dropped < target.results.length; dropped++) this.body.byte(26);
  }
  /** memory.copy and memory.fill (bulk memory operations). */
  copyMemory(to, from, length) {
    for (const value of [to, from, length]) value.write(this.body);
    this.body.bytes([252, 10, 0, 0]);
  }
  fillMemory(to, byte, length) {
    for (const value of [to, byte, length]) value.write(this.body);
    this.body.bytes([252, 11, 0]);
  }
  /** The function as an entry of the code section. */
  finish() {
    const out = new CodeWriter();
    const runs = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    out.unsigned(runs.length);
    for (const run of runs) {
      out.unsigned(run.count);
      out.byte(run.type);
    }
    out.bytes(this.body.result());
    out.byte(11);
    return out.result();
  }
};

// emulator/isa/emit/module-builder.ts
var ModuleBuilder = class {
  /** @param memoryPages the least size of the imported memory "env" "memory", in 64-KiB pages. */
  constructor(memoryPages) {
    this.memoryPages = memoryPages;
  }
  memoryPages;
  types = [];
  typeBytes = [];
  imports = [];
  functions = [];
  exports = [];
  typeIndex(parameters, results) {
    const key = `${parameters.join()}>${results.join()}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    this.types.push(key);
    this.typeBytes.push(new Uint8Array([96, parameters.length, ...parameters, results.length, ...results]));
    return this.types.length - 1;
  }
  /** Imports have to be declared before functions. */
  import(name, parameters, results) {
    if (this.functions.length > 0) throw new Error("import: declared after a function");
    const declared = {
      index: this.imports.length,
      parameters,
      results,
      typeIndex: this.typeIndex(parameters, results)
    };
    this.imports.push({ module: "env", name, declared });
    return declared;
  }
  /** Declares a function, so that it can be called; define() fills it. */
  declare(parameters, results) {
    const declared = {
      index: this.imports.length + this.functions.length,
      parameters,
      results,
      typeIndex: this.typeIndex(parameters, results)
    };
    this.functions.push(declared);
    return declared;
  }
  define(reference, fill) {
    const builder = new FunctionBuilder(reference.parameters, reference.results);
    fill(builder);
    this.functions[reference.index - this.imports.length].builder = builder;
  }
  export(name, reference) {
    this.exports.push({ name, index: reference.index });
  }
  finish() {
    const out = new CodeWriter();
    out.bytes([0, 97, 115, 109, 1, 0, 0, 0]);
    out.section(1, (section) => {
      section.unsigned(this.typeBytes.length);
      for (const bytes of this.typeBytes) section.bytes(bytes);
    });
    out.section(2, (section) => {
      section.unsigned(this.imports.length + 1);
      section.name("env");
      section.name("memory");
      section.bytes([2, 0]);
      section.unsigned(this.memoryPages);
      for (const { module, name, declared } of this.imports) {
        section.name(module);
        section.name(name);
        section.byte(0);
        section.unsigned(declared.typeIndex);
      }
    });
    out.section(3, (section) => {
      section.unsigned(this.functions.length);
      for (const declared of this.functions) section.unsigned(declared.typeIndex);
    });
    out.section(7, (section) => {
      section.unsigned(this.exports.length);
      for (const { name, index: index2 } of this.exports) {
        section.name(name);
        section.byte(0);
        section.unsigned(index2);
      }
    });
    out.section(10, (section) => {
      section.unsigned(this.functions.length);
      for (const declared of this.functions) {
        if (!declared.builder) throw new Error(`Function ${declared.index} was declared and not defined`);
        const body = declared.builder.finish();
        section.unsigned(body.length);
        section.bytes(body);
      }
    });
    return new Uint8Array(out.result());
  }
};

// emulator/engine/exit-reason.ts
var ExitReason = {
  none: 0,
  /** The instructions that were asked for have retired, or the next block does not fit into the rest. */
  fuel: 1,
  /** A helper asked for the run loop's attention: an interrupt may be due, the processor halted, the machine has to stop. */
  attention: 2,
  /** The next instruction's page offset is one of a breakpoint's. */
  breakpoint: 3,
  /** Shutdown: a triple fault (SDM Vol. 3A §6.15, interrupt 8). */
  shutdown: 4,
  /** The next instruction lies in the page whose code is TypeScript: the VMM's entry page. */
  hostEntry: 5
};

// emulator/isa/operation.ts
var Gpr = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 };
function wordType(size) {
  return size === 8 ? ValueType.i64 : ValueType.i32;
}
var Operation = class {
  constructor(f, operands, memoryForm) {
    this.f = f;
    this.operands = operands;
    this.memoryForm = memoryForm;
  }
  f;
  operands;
  memoryForm;
  // ---- operands ----
  /** Size of operand n in bytes. */
  size(operand = 0) {
    return this.operands[operand].size;
  }
  /** True when operand n is in memory in this form of the instruction. */
  inMemory(operand) {
    const kind = this.operands[operand].kind;
    return kind === "mem" || kind === "moffs" || (kind === "rm" || kind === "xmmm" || kind === "mmm") && this.memoryForm;
  }
  /** The immediate cut to `size` bytes (i32 up to 4 bytes, zero-extended below 4). */
  immediate(size) {
    const value = this.immediate64();
    if (size === 8) return value;
    return size === 4 ? value.wrap() : value.wrap().and(size === 1 ? 255 : 65535);
  }
  /** A general register by index, zero-extended to its word type. */
  gpr(index2, size) {
    return this.f.load(wordType(size), size, Value.i32(0), State.gpr + index2 * 8);
  }
  /** Writes a general register; a 32-bit write clears the upper half (SDM Vol. 1 §3.4.1.1). */
  setGpr(index2, size, value) {
    if (size === 4) this.f.store(8, Value.i32(0), value.toI64U(), State.gpr + index2 * 8);
    else this.f.store(size, Value.i32(0), value, State.gpr + index2 * 8);
  }
  /** Reads operand n, zero-extended to its word type. */
  read(operand) {
    const form = this.operands[operand];
    const type = wordType(form.size);
    if (this.inMemory(operand)) {
      const place2 = this.readPlace(form.size);
      return this.f.let(this.f.load(type, form.size, place2.address));
    }
    switch (form.kind) {
      case "gpr":
      case "rm":
        return this.f.load(type, form.size, this.registerAddress(operand));
      case "fixed":
        return this.gpr(form.fixed, form.size);
      case "imm":
        return this.immediate(form.size);
      case "one":
        return Value.i32(1);
      default:
        throw new Error(`read: an operand of kind ${form.kind}`);
    }
  }
  /** Reads an immediate operand at the size of another operand: sign-extended, as the encodings with a short immediate have it. */
  readAs(operand, size) {
    if (this.operands[operand].kind === "imm") return this.immediate(size);
    return this.read(operand);
  }
  /** Writes operand n; for a memory operand this can fault, so nothing may have been changed before. */
  write(operand, value) {
    const form = this.operands[operand];
    if (this.inMemory(operand)) {
      const kept = this.f.let(value);
      const place2 = this.writePlace(form.size);
      this.f.store(form.size, place2.address, kept);
      place2.commit();
    } else if (form.kind === "fixed") this.setGpr(form.fixed, form.size, value);
    else this.writeRegister(operand, form.size, value);
  }
  /** Writes the general register of operand n with the given size. */
  writeRegister(operand, size, value) {
    if (size === 4) this.f.store(8, this.registerAddress(operand), value.toI64U(), State.gpr);
    else this.f.store(size, this.registerAddress(operand), value, State.gpr);
  }
  /** Read-modify-write of operand n. `change` gets the old value (usable many times) and returns the new one. */
  modify(operand, change) {
    const form = this.operands[operand];
    const type = wordType(form.size);
    if (this.inMemory(operand)) {
      const place2 = this.modifyPlace(form.size);
      const old = this.f.let(this.f.load(type, form.size, place2.address));
      const next = this.f.let(change(old));
      this.f.store(form.size, place2.address, next);
      place2.commit();
    } else {
      const old = this.f.let(this.read(operand));
      const next = change(old);
      this.write(operand, next);
    }
  }
  // ---- stack (SDM Vol. 1 §6.2) ----
  /** i64: a stack-pointer value cut to the stack's address size. */
  maskStack(value) {
    return value.and(Value.i64(-1).shrU(this.f.load(ValueType.i32, 4, Value.i32(0), State.stackMaskShift).extendU()));
  }
  /** i64: the stack pointer in its address size. */
  stackPointer() {
    return this.maskStack(this.gpr(Gpr.rsp, 8));
  }
  /** Sets SP, ESP or RSP by the stack's address size from an i64. */
  setStackPointer(value) {
    const shift3 = this.f.load(ValueType.i32, 4, Value.i32(0), State.stackMaskShift);
    const kept = this.f.let(value);
    this.f.if(
      shift3.eq(48),
      () => this.f.store(2, Value.i32(0), kept, State.gpr + Gpr.rsp * 8),
      () => this.f.store(8, Value.i32(0), this.maskStack(kept), State.gpr + Gpr.rsp * 8)
    );
  }
  stackSlot() {
    return Value.i32(State.segments + 2 * SegmentSlot.size);
  }
  /** Pushes `value` (of the word type of `size`); can fault before anything changes. */
  push(size, value) {
    const kept = this.f.let(value);
    const pointer = this.f.let(this.maskStack(this.gpr(Gpr.rsp, 8).sub(size)));
    const place2 = this.placeAt("write", size, this.stackSlot(), pointer);
    this.f.store(size, place2.address, kept);
    place2.commit();
    this.setStackPointer(pointer);
  }
  /** Reads the value `offset` bytes above the top of the stack without popping it. */
  peekStack(size, offset = 0) {
    const pointer = this.f.let(this.maskStack(this.gpr(Gpr.rsp, 8).add(offset)));
    const place2 = this.placeAt("read", size, this.stackSlot(), pointer);
    return this.f.let(this.f.load(wordType(size), size, place2.address));
  }
  /** Moves the stack pointer up by a number of bytes (i64 or plain number). */
  releaseStack(bytes) {
    this.setStackPointer(this.gpr(Gpr.rsp, 8).add(bytes));
  }
  /** The state word at `offset` as i32. */
  state32(offset) {
    return this.f.load(ValueType.i32, 4, Value.i32(0), offset);
  }
  setState32(offset, value) {
    this.f.store(4, Value.i32(0), value, offset);
  }
  state64(offset) {
    return this.f.load(ValueType.i64, 8, Value.i32(0), offset);
  }
  setState64(offset, value) {
    this.f.store(8, Value.i32(0), value, offset);
  }
};

// emulator/engine/record-operation.ts
var RecordOperation = class extends Operation {
  constructor(f, operands, memoryForm, shared, exits) {
    super(f, operands, memoryForm);
    this.shared = shared;
    this.exits = exits;
  }
  shared;
  exits;
  get record() {
    return this.exits.record.get;
  }
  field(size, offset, signed = false) {
    return this.f.load(ValueType.i32, size, this.record, offset, signed);
  }
  registerAddress(operand) {
    return this.field(1, Record.register + operand);
  }
  registerNumber(operand) {
    return this.field(1, Record.register + operand);
  }
  immediate64() {
    return this.f.load(ValueType.i64, 8, this.record, Record.immediate);
  }
  immediate(size) {
    if (size === 8) return this.immediate64();
    return this.f.load(ValueType.i32, size, this.record, Record.immediate);
  }
  secondImmediate() {
    return this.field(1, Record.register + 2);
  }
  effectiveAddress() {
    return this.f.call(this.shared.effectiveAddress, [this.record]);
  }
  segment() {
    return this.field(1, Record.segment).shl(3);
  }
  prefixes() {
    return this.field(1, Record.flags);
  }
  addressShift() {
    return this.field(1, Record.addressShift);
  }
  /** Leaves the row: a fault has been delivered, or the run loop is wanted. */
  leave() {
    if (this.exits.inline) this.f.br(this.exits.left);
    else this.f.return(Value.i32(1));
  }
  checked(address) {
    const kept = this.f.let(address);
    this.f.if(kept.eqz(), () => this.leave());
    return kept;
  }
  operandPlace(access, size) {
    const target = this.shared.operandPlace.get(access + size);
    if (!target) throw new Error(`No ${access} of ${size} bytes`);
    return this.checked(this.f.call(target, [this.record]));
  }
  commitTo(address, slot, offset, size) {
    this.f.if(address.eq(State.exchange), () => {
      this.f.if(this.f.call(this.shared.commit, [this.record, slot(), offset(), Value.i32(size)]), () => this.leave());
    });
  }
  readPlace(size) {
    const address = this.operandPlace("read", size);
    return { address, commit: () => {
    } };
  }
  writePlace(size) {
    const address = this.operandPlace("write", size);
    return {
      address,
      commit: () => this.commitTo(
        address,
        () => this.segment(),
        () => this.effectiveAddress(),
        size
      )
    };
  }
  modifyPlace(size) {
    const address = this.operandPlace("modify", size);
    return {
      address,
      commit: () => this.commitTo(
        address,
        () => this.segment(),
        () => this.effectiveAddress(),
        size
      )
    };
  }
  placeAt(access, size, slot, offset) {
    const target = this.shared.place.get(access + size);
    if (!target) throw new Error(`No ${access} of ${size} bytes`);
    const keptSlot = this.f.let(slot);
    const keptOffset = this.f.let(offset);
    const address = this.checked(this.f.call(target, [this.record, keptSlot, keptOffset]));
    const commit = () => {
      if (access !== "read")
        this.commitTo(
          address,
          () => keptSlot,
          () => keptOffset,
          size
        );
    };
    return { address, commit };
  }
  nextInstruction() {
    return this.state64(State.ripBase).add(this.field(2, Record.offset).add(this.field(1, Record.length)).extendU());
  }
  /** Ends a block early: what was taken for the instructions after this one is given back. */
  returnFuel() {
    this.setState32(State.fuel, this.state32(State.fuel).add(this.field(1, Record.remaining)).sub(1));
  }
  jumpTo(target, size) {
    const masked = size === 8 ? target : target.and(Value.i64(size === 4 ? 0xffffffffn : 0xffffn));
    this.setState64(State.rip, masked);
    this.returnFuel();
    this.leave();
  }
  jumpRelative(size) {
    if (!this.exits.inline) {
      this.jumpTo(this.nextInstruction().add(this.immediate64()), size);
      return;
    }
    const { record, enter: enter2, left } = this.exits;
    this.returnFuel();
    const link = this.f.let(this.f.load(ValueType.i32, 4, this.record, Record.link));
    this.f.if(link.gtS(0), () => {
      this.f.set(record, link);
      this.f.br(enter2);
    });
    const target = this.nextInstruction().add(this.immediate64());
    this.setState64(State.rip, size === 8 ? target : target.and(Value.i64(size === 4 ? 0xffffffffn : 0xffffn)));
    this.f.brIf(left, link);
    this.f.set(record, this.f.call(this.shared.link, [this.record]));
    this.f.brIf(enter2, record.get);
    this.f.br(left);
  }
  fallThrough() {
    this.jumpTo(this.nextInstruction(), 8);
  }
  helper(name, parameter = 0) {
    const number = this.shared.helperNumber(name);
    this.f.if(
      this.f.call(this.shared.helper, [this.record, Value.i32(number), Value.i32(parameter)]),
      () => this.leave()
    );
  }
  raise(vector2) {
    this.helper("raise", vector2);
    this.leave();
  }
  interruptedIteration() {
    this.setState64(State.rip, this.state64(State.ripBase).add(this.field(2, Record.offset).extendU()));
    this.leave();
  }
};

// emulator/engine/interpreter.ts
var PseudoHandler = {
  /** The block was invalidated: find the instruction at `offset` anew. */
  resync: 0,
  /** Return to the run loop with ExitReason.fuel in front of the instruction at `offset`. */
  end: 1,
  /** Return to the run loop with ExitReason.breakpoint in front of the instruction at `offset`. */
  breakpoint: 2,
  /** An encoding that has no row: #UD. */
  undefined: 3,
  /** The block ends without a transfer: go on with the instruction at `offset`. */
  continue: 4
};
var FIRST_ROW_HANDLER = 5;
var { i32, i64 } = ValueType;
var SIZES = [1, 2, 4, 8, 10, 16];
function hasBothForms(row) {
  return row.operands.some((operand) => operand.kind === "rm" || operand.kind === "xmmm" || operand.kind === "mmm");
}
function emitPlace(f, access, size, record, slot, offset, slowRead) {
  const bound = f.load(i64, 8, slot, access === "read" ? SegmentSlot.readBound : SegmentSlot.writeBound);
  f.if(offset.add(size).leU(bound), () => {
    const shift3 = f.load(i32, 1, record, Record.linearShift).extendU();
    const linear = f.let(offset.add(f.load(i64, 8, slot, SegmentSlot.effectiveBase)).and(Value.i64(-1).shrU(shift3)));
    const low2 = f.let(linear.wrap());
    const entry = f.let(
      low2.shrU(12).and(Tlb.entries - 1).shl(5)
    );
    const wanted = linear.add(size - 1).and(Value.i64(-4096)).or(f.load(i64, 8, Value.i32(0), State.tlbContext));
    const tag2 = f.load(i64, 8, entry, Tlb.base + (access === "read" ? Tlb.readTag : Tlb.writeTag));
    f.if(tag2.eq(wanted), () => f.return(low2.add(f.load(i32, 4, entry, Tlb.base + Tlb.addend))));
  });
  if (access === "write") {
    f.return(Value.i32(State.exchange));
    return;
  }
  const segment = slot.sub(State.segments).divU(SegmentSlot.size).shl(AccessKind.segmentShift);
  const kind = segment.or(size | (access === "modify" ? AccessKind.forWrite : 0));
  const status = f.call(slowRead, [record, offset.wrap(), offset.shrU(32).wrap(), kind]);
  f.if(status, () => f.return(Value.i32(0)));
  f.return(Value.i32(State.exchange));
}
function emitEffectiveAddress(f, record) {
  const slot = (offset) => f.load(i64, 8, f.load(i32, 1, record, offset).shl(3), 0);
  const index2 = slot(Record.index).shl(f.load(i32, 1, record, Record.scale).extendU());
  const displacement = f.load(i64, 4, record, Record.displacement, true);
  const mask2 = Value.i64(-1).shrU(f.load(i32, 1, record, Record.addressShift).extendU());
  return slot(Record.base).add(index2).add(displacement).and(mask2);
}
function generateInterpreter(table) {
  const module = new ModuleBuilder(1);
  const slowRead = module.import("slowRead", [i32, i32, i32, i32], [i32]);
  const slowWrite = module.import("slowWrite", [i32, i32, i32, i32], [i32]);
  const helper = module.import("helper", [i32, i32, i32], [i32]);
  const lookup = module.import("lookup", [], [i32]);
  const link = module.import("link", [i32], [i32]);
  const effectiveAddress = module.declare([i32], [i64]);
  module.define(effectiveAddress, (f) => f.return(emitEffectiveAddress(f, f.parameter(0).get)));
  const operandPlace = /* @__PURE__ */ new Map();
  const place2 = /* @__PURE__ */ new Map();
  for (const access of ["read", "write", "modify"]) {
    for (const size of SIZES) {
      const general = module.declare([i32, i32, i64], [i32]);
      module.define(general, (f) => {
        emitPlace(f, access, size, f.parameter(0).get, f.parameter(1).get, f.parameter(2).get, slowRead);
        f.unreachable();
      });
      place2.set(access + size, general);
      const explicit = module.declare([i32], [i32]);
      module.define(explicit, (f) => {
        const record = f.parameter(0).get;
        const slot = f.let(f.load(i32, 1, record, Record.segment).shl(3));
        const offset = f.let(emitEffectiveAddress(f, record));
        emitPlace(f, access, size, record, slot, offset, slowRead);
        f.unreachable();
      });
      operandPlace.set(access + size, explicit);
    }
  }
  const commit = module.declare([i32, i32, i64, i32], [i32]);
  module.define(commit, (f) => {
    const offset = f.parameter(2).get;
    const segment = f.parameter(1).get.sub(State.segments).divU(SegmentSlot.size).shl(AccessKind.segmentShift);
    const kind = segment.or(f.parameter(3).get);
    f.return(f.call(slowWrite, [f.parameter(0).get, offset.wrap(), offset.shrU(32).wrap(), kind]));
  });
  const helperNames = [];
  const helperNumbers = /* @__PURE__ */ new Map();
  const shared = {
    effectiveAddress,
    operandPlace,
    place: place2,
    commit,
    helper,
    link,
    helperNumber(name) {
      let number = helperNumbers.get(name);
      if (number === void 0) {
        number = helperNames.push(name) - 1;
        helperNumbers.set(name, number);
      }
      return number;
    }
  };
  const handlers = new Uint16Array(16384);
  const forms = [];
  for (const row of table.rows) {
    for (const memoryForm of hasBothForms(row) ? [false, true] : [false]) {
      const number = FIRST_ROW_HANDLER + forms.length;
      if (hasBothForms(row)) handlers[row.code * 2 + (memoryForm ? 1 : 0)] = number;
      else {
        handlers[row.code * 2] = number;
        handlers[row.code * 2 + 1] = number;
      }
      const form = { row, memoryForm };
      if (row.options.cold) {
        form.outOfLine = module.declare([i32], [i32]);
        module.define(form.outOfLine, (f) => {
          const operation = new RecordOperation(f, row.operands, memoryForm, shared, {
            inline: false,
            record: f.parameter(0)
          });
          emitRow(operation, row);
          f.return(Value.i32(0));
        });
      }
      forms.push(form);
    }
  }
  const run = module.declare([i32], [i32]);
  module.define(run, (f) => {
    const record = f.parameter(0);
    f.loop((dispatch) => {
      f.block((left) => {
        f.if(record.get.eqz(), () => emitDispatch(f, record, lookup, left));
        f.loop((enter2) => {
          emitEnter(f, record.get);
          f.loop((next) => {
            const advance2 = () => {
              f.set(record, record.get.add(Record.size));
              f.br(next);
            };
            const cases = [
              () => {
                emitSync(f, record.get);
                f.set(record, f.call(lookup, []));
                f.brIf(enter2, record.get);
                f.br(left);
              },
              () => {
                emitSync(f, record.get);
                f.return(Value.i32(ExitReason.fuel));
              },
              () => {
                emitSync(f, record.get);
                f.return(Value.i32(ExitReason.breakpoint));
              },
              () => {
                f.callStatement(helper, [record.get, Value.i32(shared.helperNumber("undefined")), Value.i32(0)]);
                f.br(left);
              },
              () => {
                emitSync(f, record.get);
                f.br(left);
              },
              ...forms.map((form) => () => {
                if (form.outOfLine) {
                  f.if(f.call(form.outOfLine, [record.get]), () => f.br(left));
                } else {
                  const operation = new RecordOperation(f, form.row.operands, form.memoryForm, shared, {
                    inline: true,
                    record,
                    enter: enter2,
                    left
                  });
                  emitRow(operation, form.row);
                }
                advance2();
              })
            ];
            emitCases(f, f.load(i32, 2, record.get, Record.handler), cases, left, enter2);
          });
        });
      });
      f.if(
        f.load(i32, 4, Value.i32(0), State.exitReason),
        () => f.return(f.load(i32, 4, Value.i32(0), State.exitReason))
      );
      f.set(record, Value.i32(0));
      f.br(dispatch);
    });
    f.unreachable();
  });
  module.export("run", run);
  return { bytes: module.finish(), handlers, helperNames };
}
function emitRow(operation, row) {
  operation.f.scoped(() => {
    if (row.options.unit) {
      const trap = operation.state32(row.options.unit === "x87" ? State.x87Trap : State.sseTrap);
      operation.f.if(trap, () => operation.helper("deviceNotAvailable", row.options.unit === "x87" ? 0 : 2));
    }
    row.emit(operation);
  });
}
function emitDispatch(f, record, lookup, left) {
  f.scoped(() => {
    const rip = f.let(f.load(i64, 8, Value.i32(0), State.rip));
    const linear = f.let(rip.add(f.load(i64, 8, Value.i32(0), segmentSlot(Segment.cs) + SegmentSlot.effectiveBase)));
    const low2 = linear.wrap();
    const entry = f.let(
      low2.xor(low2.shrU(12)).and(JumpCache.entries - 1).shl(4)
    );
    const hit = f.load(i64, 8, entry, JumpCache.base + JumpCache.linear).eq(linear).and(
      f.load(i32, 4, entry, JumpCache.base + JumpCache.context).eq(f.load(i32, 4, Value.i32(0), State.jumpContext))
    );
    f.if(
      hit,
      () => {
        f.set(record, f.load(i32, 4, entry, JumpCache.base + JumpCache.record));
        f.store(8, Value.i32(0), rip.sub(f.load(i64, 2, record.get, Record.offset)), State.ripBase);
      },
      () => {
        f.set(record, f.call(lookup, []));
        f.brIf(left, record.get.eqz());
      }
    );
  });
}
function emitEnter(f, record) {
  f.scoped(() => {
    const rest = f.let(f.load(i32, 4, Value.i32(0), State.fuel).sub(f.load(i32, 1, record, Record.remaining)));
    f.if(rest.ltS(0), () => {
      f.store(
        8,
        Value.i32(0),
        f.load(i64, 8, Value.i32(0), State.ripBase).add(f.load(i64, 2, record, Record.offset)),
        State.rip
      );
      f.return(Value.i32(ExitReason.fuel));
    });
    f.store(4, Value.i32(0), rest, State.fuel);
  });
}
function emitSync(f, record) {
  f.store(
    8,
    Value.i32(0),
    f.load(i64, 8, Value.i32(0), State.ripBase).add(f.load(i64, 2, record, Record.offset)),
    State.rip
  );
  f.store(
    4,
    Value.i32(0),
    f.load(i32, 4, Value.i32(0), State.fuel).add(f.load(i32, 1, record, Record.remaining)),
    State.fuel
  );
}
function emitCases(f, selector, cases, left, enter2) {
  const labels = new Array(cases.length);
  const nest = (index2) => {
    f.block((label) => {
      labels[index2] = label;
      if (index2 > 0) nest(index2 - 1);
      else f.brTable(selector, labels, label);
    });
    f.scoped(() => cases[index2]({ left, enter: enter2 }));
  };
  nest(cases.length - 1);
}

// emulator/engine/code-cache.ts
var MAX_BLOCK = 48;
var SCRATCH = RecordArena.end - (MAX_BLOCK + 2) * Record.size;
var CodeCache = class {
  constructor(physical, tlb, decoder) {
    this.physical = physical;
    this.tlb = tlb;
    this.decoder = decoder;
    physical.onCodeWrite = (address, length) => this.invalidate(address, length);
  }
  physical;
  tlb;
  decoder;
  pages = /* @__PURE__ */ new Map();
  free = RecordArena.base;
  scratchPage = -1;
  scratchStart = 0;
  scratchEnd = 0;
  /** Page offsets of breakpoints: a block does not run over one. */
  breakpointOffsets = /* @__PURE__ */ new Set();
  blocksDecoded = 0;
  blocksInvalidated = 0;
  flushes = 0;
  /** Forgets every block. Only between blocks. */
  flush() {
    this.flushes++;
    for (const number of this.pages.keys()) this.physical.hasCode[number] = 0;
    this.pages.clear();
    this.free = RecordArena.base;
    this.tlb.forgetJumps();
    this.scratchPage = -1;
  }
  setBreakpointOffsets(offsets) {
    this.breakpointOffsets = new Set(offsets);
    this.flush();
  }
  /**
   * The first record of the block at a physical address, decoded when it is not known.
   * @param mode log2 of the code size in bytes (State.codeSize)
   * @param nextPage gives the physical page that follows linearly, for an instruction that crosses; it throws the fault of that fetch
   * @param ignoreBreakpoint a breakpoint at this very address is passed over; such a block is found by such lookups only
   */
  block(address, mode, nextPage, ignoreBreakpoint) {
    const number = Math.floor(address / 4096);
    const offset = address & 4095;
    const passing = ignoreBreakpoint && this.breakpointOffsets.has(offset);
    if (!passing && this.breakpointOffsets.has(offset)) {
      this.pseudo(SCRATCH, PseudoHandler.breakpoint, offset);
      return SCRATCH;
    }
    const key = offset | mode << 13 | (passing ? 1 << 16 : 0);
    const found = this.pages.get(number)?.blocks.get(key);
    if (found) return found.record;
    return this.decode(number, offset, mode, key, nextPage);
  }
  /** True when jumps straight to the block may be remembered: it is not a crossing instruction, which depends on two mappings. */
  isLinkable(record) {
    const { view } = this.physical;
    const handler = view.getUint16(record + Record.handler, true);
    return handler !== PseudoHandler.breakpoint && record < SCRATCH;
  }
  decode(number, offset, mode, key, nextPage) {
    const { physical } = this;
    if (this.free + (MAX_BLOCK + 2) * Record.size > SCRATCH) this.flush();
    const record = this.free;
    const bits2 = 8 << mode;
    this.decoder.begin(bits2, number, offset, void 0);
    let at = record;
    let position = offset;
    let instructions = 0;
    let crosses = false;
    while (instructions < MAX_BLOCK) {
      if (instructions > 0 && this.breakpointOffsets.has(position)) break;
      const decoded = position < 4096 ? this.decoder.next(at, bits2, position) : void 0;
      if (!decoded) {
        crosses = instructions === 0;
        break;
      }
      position += decoded.length;
      at += Record.size;
      instructions++;
      if (decoded.endsBlock) break;
    }
    this.decoder.end();
    if (crosses) return this.decodeCrossing(number, offset, bits2, nextPage);
    this.pseudo(at, PseudoHandler.continue, position);
    for (let n = 0; n < instructions; n++) physical.u8[record + n * Record.size + Record.remaining] = instructions - n;
    this.free = at + Record.size;
    this.blocksDecoded++;
    let page = this.pages.get(number);
    if (!page) {
      page = { blocks: /* @__PURE__ */ new Map() };
      this.pages.set(number, page);
      physical.hasCode[number] = 1;
      this.tlb.withholdWrites(number);
    }
    page.blocks.set(key, { record, start: offset, end: position, instructions, mode });
    return record;
  }
  /** One instruction that lies in two pages: decoded each time, since the mapping of the second page can change. */
  decodeCrossing(number, offset, bits2, nextPage) {
    const following = nextPage();
    const rest = this.physical.peek(following * 4096, 15) ?? new Uint8Array(0);
    this.decoder.begin(bits2, number, offset, rest);
    const decoded = this.decoder.next(SCRATCH, bits2, offset);
    this.decoder.end();
    if (!decoded) this.pseudo(SCRATCH, PseudoHandler.undefined, offset);
    this.physical.u8[SCRATCH + Record.remaining] = 1;
    const end = offset + (decoded?.length ?? 1);
    this.physical.i32[SCRATCH + Record.link >> 2] = -1;
    this.pseudo(SCRATCH + Record.size, PseudoHandler.continue, end);
    this.scratchPage = -1;
    return SCRATCH;
  }
  /**
   * A block of exactly `count` instructions (at least 1, or up to the end of the block) that then returns to the run loop.
   * `record` is a block's first record, or the record of a crossing instruction.
   */
  exactly(record, count, page) {
    const { u8, view } = this.physical;
    const available = u8[record + Record.remaining];
    const instructions = Math.min(count, available);
    if (record !== SCRATCH) u8.copyWithin(SCRATCH, record, record + (available + 1) * Record.size);
    if (instructions < available) {
      const end = SCRATCH + instructions * Record.size;
      this.pseudo(end, PseudoHandler.end, view.getUint16(end + Record.offset, true));
    }
    for (let n = 0; n < instructions; n++) {
      u8[SCRATCH + n * Record.size + Record.remaining] = instructions - n;
      const link = SCRATCH + n * Record.size + Record.link >> 2;
      if (this.physical.i32[link] >= 0) this.physical.i32[link] = -1;
    }
    this.scratchPage = page;
    this.scratchStart = view.getUint16(SCRATCH + Record.offset, true);
    this.scratchEnd = view.getUint16(SCRATCH + instructions * Record.size + Record.offset, true);
    return SCRATCH;
  }
  pseudo(at, handler, offset) {
    this.physical.u8.fill(0, at, at + Record.size);
    this.physical.view.setUint16(at + Record.handler, handler, true);
    this.physical.view.setUint16(at + Record.offset, offset, true);
  }
  /** The bytes of a physical range are about to change: blocks that hold any of them go to the run loop's lookup from now on. */
  invalidate(address, length) {
    const number = Math.floor(address / 4096);
    const from = address & 4095;
    const to = from + length;
    if (number === this.scratchPage && this.scratchStart < to && this.scratchEnd > from) this.stampScratch();
    const page = this.pages.get(number);
    if (!page) {
      this.physical.hasCode[number] = 0;
      return;
    }
    const dead = [];
    for (const [key, block] of page.blocks) {
      if (block.start >= to || block.end <= from) continue;
      dead.push(block);
      page.blocks.delete(key);
    }
    if (dead.length === 0) return;
    this.blocksInvalidated += dead.length;
    for (const block of dead) this.stamp(block.record, block.instructions);
    for (const block of page.blocks.values()) this.unlink(block, dead);
    if (page.blocks.size === 0) {
      this.pages.delete(number);
      this.physical.hasCode[number] = 0;
    }
  }
  stamp(record, instructions) {
    for (let n = 0; n < instructions; n++) {
      this.physical.view.setUint16(record + n * Record.size + Record.handler, PseudoHandler.resync, true);
    }
  }
  stampScratch() {
    this.stamp(SCRATCH, this.physical.u8[SCRATCH + Record.remaining]);
  }
  /** Takes back the links of a block into dead ones. */
  unlink(block, dead) {
    const { i32: i329 } = this.physical;
    for (let n = 0; n < block.instructions; n++) {
      const link = block.record + n * Record.size + Record.link >> 2;
      const target = i329[link];
      if (target > 0 && dead.some((gone) => gone.record === target)) i329[link] = 0;
    }
  }
};

// emulator/engine/decoder.ts
import { Code, Decoder, DecoderOptions, Instruction, OpKind, Register } from "iced-x86";
var ADDRESS_16 = 48;
var ADDRESS_32 = 32;
var ADDRESS_64 = 0;
var registerField = new Uint16Array(512).fill(65535);
var registerShift = new Uint8Array(512);
{
  const low2 = ["AL", "CL", "DL", "BL", "SPL", "BPL", "SIL", "DIL"];
  const high2 = ["AH", "CH", "DH", "BH"];
  const words2 = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"];
  const byName = Register;
  const set = (name, field, shift3 = ADDRESS_64) => {
    const register = byName[name];
    registerField[register] = field;
    registerShift[register] = shift3;
  };
  for (let index2 = 0; index2 < 8; index2++) {
    set(low2[index2], index2 * 8);
    if (index2 < 4) set(high2[index2], index2 * 8 + 1);
    set(words2[index2], index2 * 8, ADDRESS_16);
    set(`E${words2[index2]}`, index2 * 8, ADDRESS_32);
    set(`R${words2[index2]}`, index2 * 8, ADDRESS_64);
  }
  for (let index2 = 8; index2 < 16; index2++) {
    set(`R${index2}L`, index2 * 8);
    set(`R${index2}W`, index2 * 8, ADDRESS_16);
    set(`R${index2}D`, index2 * 8, ADDRESS_32);
    set(`R${index2}`, index2 * 8, ADDRESS_64);
  }
  for (let index2 = 0; index2 < 16; index2++) {
    set(`XMM${index2}`, index2);
    set(`CR${index2}`, index2);
    set(`DR${index2}`, index2);
  }
  for (let index2 = 0; index2 < 8; index2++) {
    set(`MM${index2}`, index2);
    set(`ST${index2}`, index2);
  }
  for (const [index2, name] of ["ES", "CS", "SS", "DS", "FS", "GS"].entries()) set(name, index2);
}
var moffs = /* @__PURE__ */ new Set([
  Code.Mov_AL_moffs8,
  Code.Mov_AX_moffs16,
  Code.Mov_EAX_moffs32,
  Code.Mov_RAX_moffs64,
  Code.Mov_moffs8_AL,
  Code.Mov_moffs16_AX,
  Code.Mov_moffs32_EAX,
  Code.Mov_moffs64_RAX
]);
var RecordDecoder = class {
  constructor(physical, tables) {
    this.physical = physical;
    this.tables = tables;
  }
  physical;
  tables;
  instruction = new Instruction();
  decoder;
  /** Begins at a byte of a page: up to 15 bytes beyond the page's end may be given in `next` (the following linear page). */
  begin(bits2, page, offset, next) {
    this.decoder?.free();
    const start = RAM_BASE + page * 4096;
    const here = this.physical.u8.subarray(start + offset, start + 4096);
    let bytes = here;
    if (next) {
      bytes = new Uint8Array(here.length + next.length);
      bytes.set(here);
      bytes.set(next, here.length);
    }
    this.decoder = new Decoder(bits2, bytes, DecoderOptions.ForceReservedNop);
    this.decoder.ip = BigInt(offset);
  }
  /**
   * Decodes the next instruction into the record at `at`. Undefined when the bytes end inside the instruction.
   * `offset` is the instruction's offset in its page.
   */
  next(at, bits2, offset) {
    const decoder = this.decoder;
    const { instruction: instruction2 } = this;
    if (!decoder.canDecode) return void 0;
    decoder.decodeOut(instruction2);
    const { u8, view } = this.physical;
    u8.fill(0, at, at + Record.size);
    view.setUint16(at + Record.offset, offset, true);
    if (instruction2.code === Code.INVALID) {
      if (decoder.lastError === 2) return void 0;
      view.setUint16(at + Record.handler, PseudoHandler.undefined, true);
      return { code: Code.INVALID, length: 1, endsBlock: true };
    }
    const { code, length } = instruction2;
    u8[at + Record.length] = length;
    u8[at + Record.base] = State.zero / 8;
    u8[at + Record.index] = State.zero / 8;
    u8[at + Record.linearShift] = bits2 === 64 ? 0 : 32;
    u8[at + Record.segment] = segmentSlot(Segment.ds) / 8;
    u8[at + Record.addressShift] = bits2 === 64 ? ADDRESS_64 : bits2 === 32 ? ADDRESS_32 : ADDRESS_16;
    let flags = 0;
    if (instruction2.hasRepePrefix) flags |= RecordFlags.rep;
    if (instruction2.hasRepnePrefix) flags |= RecordFlags.repne;
    if (instruction2.hasLockPrefix) flags |= RecordFlags.lock;
    let inMemory = false;
    let immediates = 0;
    const count = instruction2.opCount;
    for (let operand = 0; operand < count; operand++) {
      const kind = instruction2.opKind(operand);
      switch (kind) {
        case OpKind.Register:
          if (operand < 3) u8[at + Record.register + operand] = registerField[instruction2.opRegister(operand)];
          break;
        case OpKind.Memory:
          inMemory = true;
          this.bindMemory(at, code);
          break;
        case OpKind.NearBranch16:
        case OpKind.NearBranch32:
        case OpKind.NearBranch64: {
          const width = kind === OpKind.NearBranch16 ? 16 : kind === OpKind.NearBranch32 ? 32 : 64;
          const displacement = BigInt.asIntN(width, instruction2.nearBranchTarget - BigInt(offset + length));
          view.setBigInt64(at + Record.immediate, displacement, true);
          const target = BigInt(offset + length) + displacement;
          const linkable = width === bits2 && bits2 !== 16 && target >= 0n && target < 4096n;
          view.setInt32(at + Record.link, linkable ? 0 : -1, true);
          break;
        }
        case OpKind.FarBranch16:
        case OpKind.FarBranch32:
          view.setBigInt64(
            at + Record.immediate,
            BigInt(kind === OpKind.FarBranch16 ? instruction2.farBranch16 : instruction2.farBranch32),
            true
          );
          view.setInt32(at + Record.displacement, instruction2.farBranchSelector, true);
          break;
        case OpKind.MemorySegSI:
        case OpKind.MemorySegESI:
        case OpKind.MemorySegRSI:
        case OpKind.MemorySegDI:
        case OpKind.MemorySegEDI:
        case OpKind.MemorySegRDI:
        case OpKind.MemoryESDI:
        case OpKind.MemoryESEDI:
        case OpKind.MemoryESRDI:
          this.bindString(at, kind);
          break;
        default:
          if (immediates++ === 0)
            view.setBigInt64(at + Record.immediate, BigInt.asIntN(64, instruction2.immediate(operand)), true);
          else u8[at + Record.register + 2] = Number(instruction2.immediate(operand) & 0xffn);
      }
    }
    u8[at + Record.flags] = flags | (inMemory ? MEMORY_OPERAND : 0);
    const handler = this.tables.handlers[code * 2 + (inMemory ? 1 : 0)];
    const repeated = (flags & (RecordFlags.rep | RecordFlags.repne)) !== 0 && instruction2.isStringInstruction;
    view.setUint16(at + Record.handler, handler === 0 ? PseudoHandler.undefined : handler, true);
    return { code, length, endsBlock: handler === 0 || repeated || this.tables.endsBlock[code] === 1 };
  }
  bindMemory(at, code) {
    const { instruction: instruction2 } = this;
    const { u8, view } = this.physical;
    u8[at + Record.segment] = segmentSlot(registerField[instruction2.memorySegment]) / 8;
    const base = instruction2.memoryBase;
    const index2 = instruction2.memoryIndex;
    let displacement = instruction2.memoryDisplacement;
    let shift3;
    if (base === Register.RIP || base === Register.EIP) {
      shift3 = base === Register.RIP ? ADDRESS_64 : ADDRESS_32;
      u8[at + Record.base] = State.ripBase / 8;
    } else {
      const width = instruction2.memoryDisplSize;
      shift3 = base !== Register.None ? registerShift[base] : index2 !== Register.None ? registerShift[index2] : width === 2 ? ADDRESS_16 : width === 4 ? ADDRESS_32 : ADDRESS_64;
      if (base !== Register.None) u8[at + Record.base] = registerField[base] / 8;
    }
    if (index2 !== Register.None && code !== Code.Xlat_m8) {
      u8[at + Record.index] = registerField[index2] / 8;
      u8[at + Record.scale] = Math.log2(instruction2.memoryIndexScale);
    }
    u8[at + Record.addressShift] = shift3;
    if (moffs.has(code)) {
      view.setBigInt64(at + Record.immediate, BigInt.asIntN(64, displacement), true);
      return;
    }
    displacement = BigInt.asIntN(32, displacement);
    view.setInt32(at + Record.displacement, Number(displacement), true);
  }
  bindString(at, kind) {
    const { instruction: instruction2 } = this;
    const { u8 } = this.physical;
    switch (kind) {
      case OpKind.MemorySegSI:
      case OpKind.MemorySegDI:
      case OpKind.MemoryESDI:
        u8[at + Record.addressShift] = ADDRESS_16;
        break;
      case OpKind.MemorySegESI:
      case OpKind.MemorySegEDI:
      case OpKind.MemoryESEDI:
        u8[at + Record.addressShift] = ADDRESS_32;
        break;
      default:
        u8[at + Record.addressShift] = ADDRESS_64;
    }
    if (kind !== OpKind.MemoryESDI && kind !== OpKind.MemoryESEDI && kind !== OpKind.MemoryESRDI) {
      u8[at + Record.segment] = segmentSlot(registerField[instruction2.memorySegment]) / 8;
    }
  }
  /** Frees the decoder's copy of the bytes. */
  end() {
    this.decoder?.free();
    this.decoder = void 0;
  }
};

// emulator/isa/flags.ts
var Aux = { carry: 2147483648 | 0, partialOverflow: 1073741824, adjust: 8, parityShift: 8, sign: 1 };
var Eflags2 = {
  cf: 1,
  pf: 4,
  af: 16,
  zf: 64,
  sf: 128,
  tf: 256,
  if: 512,
  df: 1024,
  of: 2048
};
function signExtend(value, size) {
  if (size === 8) return value;
  if (size === 4) return value.extendS();
  return (size === 2 ? value.extend16S() : value.extend8S()).extendS();
}
function auxOfCarries(carries, size) {
  const mask2 = Aux.carry | Aux.partialOverflow | Aux.adjust;
  if (size === 4) return carries.and(mask2);
  if (size === 8)
    return carries.shrU(32).wrap().and(Aux.carry | Aux.partialOverflow).or(carries.wrap().and(Aux.adjust));
  return carries.shl(size === 2 ? 16 : 24).and(Aux.carry | Aux.partialOverflow).or(carries.and(Aux.adjust));
}
function store2(o, result, aux, size) {
  o.setState64(State.flagsResult, signExtend(result, size));
  o.setState32(State.flagsAux, aux);
}
function flagsOfAdd(o, size, a, b, result) {
  const carries = o.f.let(a.and(b).or(a.or(b).and(result.not())));
  store2(o, result, auxOfCarries(carries, size), size);
}
function flagsOfSubtract(o, size, a, b, result) {
  const borrows = o.f.let(a.not().and(b).or(a.not().or(b).and(result)));
  store2(o, result, auxOfCarries(borrows, size), size);
}
function flagsOfLogic(o, size, result) {
  store2(o, result, Value.i32(0), size);
}
function flagsOfIncrement(o, size, old, result, decrement) {
  const one2 = old.type === ValueType.i64 ? Value.i64(1) : Value.i32(1);
  const carries = o.f.let(
    decrement ? old.not().and(one2).or(old.not().or(one2).and(result)) : old.and(one2).or(old.or(one2).and(result.not()))
  );
  const fresh = o.f.let(auxOfCarries(carries, size));
  const carryChange = o.f.let(o.state32(State.flagsAux).xor(fresh).and(Aux.carry));
  store2(o, result, fresh.xor(carryChange).xor(carryChange.shrU(1)), size);
}
function flagsOfResult(o, size, result, carry, overflow) {
  const c = o.f.let(carry);
  store2(o, result, c.shl(31).or(c.xor(overflow).shl(30)), size);
}
function setCarryOverflow(o, carry, overflow) {
  const c = o.f.let(carry);
  o.setState32(State.flagsAux, o.state32(State.flagsAux).and(1073741823).or(c.shl(31)).or(c.xor(overflow).shl(30)));
}
function setCarry(o, carry) {
  const overflow = o.f.let(overflowFlag(o));
  setCarryOverflow(o, carry, overflow);
}
function setZero(o, zero2) {
  const sign2 = o.f.let(signFlag(o));
  const parity2 = o.f.let(parityFlag(o));
  const z = o.f.let(zero2);
  o.setState64(State.flagsResult, z.eqz().extendU());
  const parityDelta = parity2.xor(z);
  o.setState32(
    State.flagsAux,
    o.state32(State.flagsAux).and(3221225480 | 0).or(sign2).or(parityDelta.shl(Aux.parityShift))
  );
}
function setArithmeticFlags(o, bits2) {
  const b = o.f.let(bits2);
  const zero2 = o.f.let(b.shrU(6).and(1));
  o.setState64(State.flagsResult, zero2.xor(1).extendU());
  const carry = o.f.let(b.and(1));
  const aux = carry.shl(31).or(carry.xor(b.shrU(11).and(1)).shl(30)).or(b.and(Eflags2.af).shrU(1)).or(b.shrU(7).and(1)).or(b.shrU(2).and(1).xor(zero2).shl(Aux.parityShift));
  o.setState32(State.flagsAux, aux);
}
function arithmeticFlags(o) {
  return carryFlag(o).or(parityFlag(o).shl(2)).or(o.state32(State.flagsAux).and(Aux.adjust).shl(1)).or(zeroFlag(o).shl(6)).or(signFlag(o).shl(7)).or(overflowFlag(o).shl(11));
}
function carryFlag(o) {
  return o.state32(State.flagsAux).shrU(31);
}
function zeroFlag(o) {
  return o.state64(State.flagsResult).eqz();
}
function signFlag(o) {
  return o.state64(State.flagsResult).shrU(63).wrap().xor(o.state32(State.flagsAux).and(1));
}
function overflowFlag(o) {
  const aux = o.f.let(o.state32(State.flagsAux));
  return aux.xor(aux.shl(1)).shrU(31);
}
function parityFlag(o) {
  const byte = o.state64(State.flagsResult).wrap().xor(o.state32(State.flagsAux).shrU(Aux.parityShift)).and(255);
  return byte.popcnt().and(1).xor(1);
}
function condition(o, code) {
  let value;
  switch (code >> 1) {
    case 0:
      value = overflowFlag(o);
      break;
    case 1:
      value = carryFlag(o);
      break;
    case 2:
      value = zeroFlag(o);
      break;
    case 3:
      value = carryFlag(o).or(zeroFlag(o));
      break;
    case 4:
      value = signFlag(o);
      break;
    case 5:
      value = parityFlag(o);
      break;
    case 6:
      value = signFlag(o).xor(overflowFlag(o));
      break;
    default:
      value = signFlag(o).xor(overflowFlag(o)).or(zeroFlag(o));
  }
  return code & 1 ? value.eqz() : value;
}
var conditionNumber = {
  o: 0,
  no: 1,
  b: 2,
  ae: 3,
  e: 4,
  ne: 5,
  be: 6,
  a: 7,
  s: 8,
  ns: 9,
  p: 10,
  np: 11,
  l: 12,
  ge: 13,
  le: 14,
  g: 15
};

// emulator/isa/integer/arithmetic.ts
function add2(o, withCarry) {
  const size = o.size(0);
  o.modify(0, (old) => {
    const b = o.f.let(o.readAs(1, size));
    const sum = old.add(b);
    const result = o.f.let(withCarry ? sum.add(carryFlag(o).as(old.type)) : sum);
    flagsOfAdd(o, size, old, b, result);
    return result;
  });
}
function subtract(o, withBorrow) {
  const size = o.size(0);
  o.modify(0, (old) => {
    const b = o.f.let(o.readAs(1, size));
    const difference = old.sub(b);
    const result = o.f.let(withBorrow ? difference.sub(carryFlag(o).as(old.type)) : difference);
    flagsOfSubtract(o, size, old, b, result);
    return result;
  });
}
function compare2(o) {
  const size = o.size(0);
  const a = o.f.let(o.read(0));
  const b = o.f.let(o.readAs(1, size));
  flagsOfSubtract(o, size, a, b, o.f.let(a.sub(b)));
}
function increment(o, decrement) {
  o.modify(0, (old) => {
    const result = o.f.let(decrement ? old.sub(1) : old.add(1));
    flagsOfIncrement(o, o.size(0), old, result, decrement);
    return result;
  });
}
function negate(o) {
  o.modify(0, (old) => {
    const zero2 = old.type === ValueType.i64 ? Value.i64(0) : Value.i32(0);
    const result = o.f.let(old.neg());
    flagsOfSubtract(o, o.size(0), zero2, old, result);
    return result;
  });
}
function exchangeAndAdd(o) {
  const size = o.size(0);
  const before2 = o.f.variable(wordType(size));
  o.modify(0, (old) => {
    const b = o.f.let(o.read(1));
    const result = o.f.let(old.add(b));
    flagsOfAdd(o, size, old, b, result);
    o.f.set(before2, old);
    if (!o.memoryForm) o.write(1, old);
    return result;
  });
  if (o.memoryForm) o.write(1, before2.get);
}
function compareAndExchange(o) {
  const size = o.size(0);
  const before2 = o.f.variable(wordType(size));
  const equal = o.f.variable(ValueType.i32);
  o.modify(0, (old) => {
    const accumulator = o.f.let(o.gpr(Gpr.rax, size));
    flagsOfSubtract(o, size, accumulator, old, o.f.let(accumulator.sub(old)));
    o.f.set(before2, old);
    o.f.set(equal, zeroFlag(o));
    return equal.get.select(o.f.let(o.read(1)), old);
  });
  o.f.if(equal.get.eqz(), () => o.setGpr(Gpr.rax, size, before2.get));
}
function compareAndExchange8(o) {
  const { i64: i6410 } = ValueType;
  const place2 = o.modifyPlace(8);
  const old = o.f.let(o.f.load(i6410, 8, place2.address));
  const half2 = (register) => o.gpr(register, 4).extendU();
  const expected = half2(Gpr.rdx).shl(32).or(half2(Gpr.rax));
  const replacement = o.f.let(half2(Gpr.rcx).shl(32).or(half2(Gpr.rbx)));
  const equal = o.f.let(old.eq(expected));
  o.f.store(8, place2.address, equal.select(replacement, old));
  place2.commit();
  o.f.if(equal.eqz(), () => {
    o.setGpr(Gpr.rax, 4, old.wrap());
    o.setGpr(Gpr.rdx, 4, old.shrU(32).wrap());
  });
  setZero(o, equal);
}
function defineArithmetic(table) {
  table.define(/^Add_/, (o) => add2(o, false));
  table.define(/^Adc_/, (o) => add2(o, true));
  table.define(/^Sub_/, (o) => subtract(o, false));
  table.define(/^Sbb_/, (o) => subtract(o, true));
  table.define(/^Cmp_/, compare2);
  table.define(/^Inc_/, (o) => increment(o, false));
  table.define(/^Dec_/, (o) => increment(o, true));
  table.define(/^Neg_/, negate);
  table.define(/^Xadd_/, exchangeAndAdd);
  table.define(/^Cmpxchg_rm/, compareAndExchange);
  table.define(/^Cmpxchg8b_m64$/, compareAndExchange8);
}

// emulator/isa/integer/bit.ts
function bitTest(o, change) {
  const size = o.size(0);
  const bits2 = size * 8;
  const type = wordType(size);
  const one2 = type === Value.i64(0).type ? Value.i64(1) : Value.i32(1);
  const offset = o.f.let(o.readAs(1, size));
  const position = o.f.let(offset.and(bits2 - 1));
  const test = (old2) => o.f.let(old2.shrU(position).toI32().and(1));
  if (!o.memoryForm) {
    const old2 = o.f.let(o.read(0));
    const found2 = test(old2);
    if (change) o.write(0, change(old2, one2.shl(position)));
    setCarry(o, found2);
    return;
  }
  let address = o.effectiveAddress();
  if (o.operands[1].kind === "gpr") {
    const extended2 = size === 8 ? offset : size === 4 ? offset.extendS() : offset.extend16S().extendS();
    const log = size === 8 ? 6 : size === 4 ? 5 : 4;
    const mask2 = Value.i64(-1).shrU(o.addressShift().extendU());
    address = address.add(extended2.shrS(log).mul(size)).and(mask2);
  }
  const place2 = o.placeAt(change ? "modify" : "read", size, o.segment(), address);
  const old = o.f.let(o.f.load(type, size, place2.address));
  const found = test(old);
  if (change) {
    o.f.store(size, place2.address, change(old, one2.shl(position)));
    place2.commit();
  }
  setCarry(o, found);
}
function scan(o, reverse) {
  const size = o.size(0);
  const source = o.f.let(o.read(1));
  o.f.if(
    source.eqz(),
    () => flagsOfLogic(o, size, source),
    () => {
      const type = source.type;
      const width = type === Value.i64(0).type ? 63 : 31;
      const constant = (value) => width === 63 ? Value.i64(value) : Value.i32(value);
      const result = o.f.let(reverse ? constant(width).sub(source.clz()) : source.ctz());
      o.write(0, result);
      flagsOfLogic(o, size, o.f.let(source.or(1)));
      setZero(o, Value.i32(0));
    }
  );
}
function byteSwap(o) {
  const size = o.size(0);
  if (size === 2) {
    o.write(0, Value.i32(0));
    return;
  }
  const old = o.f.let(o.read(0));
  if (size === 4) {
    o.write(
      0,
      old.rotl(8).and(16711935).or(old.rotr(8).and(4278255360 | 0))
    );
    return;
  }
  const bytes = o.f.let(
    old.shl(8).and(Value.i64(0xff00ff00ff00ff00n)).or(old.shrU(8).and(Value.i64(0x00ff00ff00ff00ffn)))
  );
  const words2 = o.f.let(
    bytes.shl(16).and(Value.i64(0xffff0000ffff0000n)).or(bytes.shrU(16).and(Value.i64(0x0000ffff0000ffffn)))
  );
  o.write(0, words2.rotl(32));
}
function defineBit(table) {
  const change = {
    Bts: (old, mask2) => old.or(mask2),
    Btr: (old, mask2) => old.and(mask2.not()),
    Btc: (old, mask2) => old.xor(mask2)
  };
  table.define(/^Bt_/, (o) => bitTest(o, void 0));
  for (const [name, operation] of Object.entries(change))
    table.define(new RegExp(`^${name}_`), (o) => bitTest(o, operation));
  table.define(/^(Bsf|Tzcnt)_/, (o) => scan(o, false));
  table.define(/^(Bsr|Lzcnt)_/, (o) => scan(o, true));
  table.define(/^Bswap_/, byteSwap);
}

// emulator/isa/integer/stack.ts
function sizeOfSuffix(name, mnemonic) {
  const letter = name.charAt(mnemonic.length);
  return letter === "d" ? 4 : letter === "q" ? 8 : 2;
}
function popMemory(o) {
  const size = o.size(0);
  const value = o.peekStack(size);
  const before2 = o.f.let(o.gpr(Gpr.rsp, 8));
  o.releaseStack(size);
  const after = o.f.let(o.gpr(Gpr.rsp, 8));
  const address = o.f.let(o.effectiveAddress());
  o.setGpr(Gpr.rsp, 8, before2);
  const place2 = o.placeAt("write", size, o.segment(), address);
  o.f.store(size, place2.address, value);
  place2.commit();
  o.setGpr(Gpr.rsp, 8, after);
}
function popRegister(o) {
  const size = o.size(0);
  const value = o.peekStack(size);
  o.releaseStack(size);
  o.write(0, value);
}
function pushAll(o, size) {
  const top = o.f.let(o.gpr(Gpr.rsp, 8));
  for (let register = 0; register < 8; register++) {
    const pointer = o.maskStack(top.sub(size * (register + 1)));
    const place2 = o.placeAt("write", size, o.stackSlot(), pointer);
    o.f.store(size, place2.address, o.gpr(register, size));
    place2.commit();
  }
  o.setStackPointer(top.sub(size * 8));
}
function popAll(o, size) {
  const values = [];
  for (let register = 7; register >= 0; register--) values[register] = o.peekStack(size, size * (7 - register));
  o.releaseStack(size * 8);
  for (let register = 7; register >= 0; register--)
    if (register !== Gpr.rsp) o.setGpr(register, size, values[register]);
}
function leave(o, size) {
  const frame = o.f.let(o.maskStack(o.gpr(Gpr.rbp, 8)));
  const place2 = o.placeAt("read", size, o.stackSlot(), frame);
  const value = o.f.let(o.f.load(wordType(size), size, place2.address));
  o.setStackPointer(frame.add(size));
  o.setGpr(Gpr.rbp, size, value);
}
function enter(o, size) {
  const { i64: i6410, i32: i329 } = ValueType;
  const level = o.f.let(o.secondImmediate().and(31));
  const pointer = o.f.variable(i6410);
  const link = o.f.variable(i6410);
  const count = o.f.variable(i329);
  const pushWord = (value) => {
    o.f.set(pointer, o.maskStack(pointer.get.sub(size)));
    const place2 = o.placeAt("write", size, o.stackSlot(), pointer.get);
    o.f.store(size, place2.address, value);
    place2.commit();
  };
  o.f.set(pointer, o.gpr(Gpr.rsp, 8));
  pushWord(o.gpr(Gpr.rbp, size));
  const frame = o.f.let(pointer.get);
  o.f.if(level, () => {
    o.f.set(link, o.gpr(Gpr.rbp, 8));
    o.f.set(count, level.sub(1));
    o.f.block((done) => {
      o.f.loop((again) => {
        o.f.brIf(done, count.get.eqz());
        o.f.scoped(() => {
          o.f.set(link, o.maskStack(link.get.sub(size)));
          const place2 = o.placeAt("read", size, o.stackSlot(), link.get);
          pushWord(o.f.let(o.f.load(wordType(size), size, place2.address)));
        });
        o.f.set(count, count.get.sub(1));
        o.f.br(again);
      });
    });
    pushWord(size === 8 ? frame : frame.wrap());
  });
  o.setStackPointer(pointer.get.sub(o.immediate64().and(Value.i64(65535))));
  o.setGpr(Gpr.rbp, size, size === 8 ? frame : frame.wrap());
}
function defineStack(table) {
  table.define(/^Push_(r|rm)\d+$/, (o) => o.push(o.size(0), o.read(0)));
  table.define(/^Push_imm16$/, (o) => o.push(2, o.immediate(2)));
  table.define(/^Push[wdq]_imm\d+$/, (o, name) => {
    const size = sizeOfSuffix(name, "Push");
    o.push(size, o.immediate(size));
  });
  table.define(/^Pop_r\d+$/, popRegister);
  table.define(/^Pop_rm\d+$/, (o) => o.memoryForm ? popMemory(o) : popRegister(o));
  table.define(/^Pusha[wd]$/, (o, name) => pushAll(o, sizeOfSuffix(name, "Pusha")), { cold: true });
  table.define(/^Popa[wd]$/, (o, name) => popAll(o, sizeOfSuffix(name, "Popa")), { cold: true });
  table.define(/^Leave[wdq]$/, (o, name) => leave(o, sizeOfSuffix(name, "Leave")));
  table.define(/^Enter[wdq]_imm16_imm8$/, (o, name) => enter(o, sizeOfSuffix(name, "Enter")), { cold: true });
}

// emulator/isa/integer/control-transfer.ts
function branchSize(name) {
  const bits2 = /_rel(?:8|32)_(16|32|64)/.exec(name)?.[1] ?? "16";
  return Number(bits2) / 8;
}
function counterShift(name) {
  if (/(_RCX$|^Jrcxz)/.test(name)) return 0;
  return /(_ECX$|^Jecxz)/.test(name) ? 32 : 48;
}
function counter(o, shift3) {
  return o.gpr(Gpr.rcx, 8).and(Value.i64(shift3 === 0 ? -1n : shift3 === 32 ? 0xffffffffn : 0xffffn));
}
function loop(o, name) {
  const shift3 = counterShift(name);
  const next = o.f.let(counter(o, shift3).sub(1));
  if (shift3 === 0) o.setGpr(Gpr.rcx, 8, next);
  else o.setGpr(Gpr.rcx, shift3 === 32 ? 4 : 2, next.wrap());
  let go = counter(o, shift3).eqz().eqz();
  if (name.startsWith("Loope")) go = go.and(zeroFlag(o));
  if (name.startsWith("Loopne")) go = go.and(zeroFlag(o).eqz());
  o.f.if(go, () => o.jumpRelative(branchSize(name)));
}
function returnNear(o, size, withImmediate) {
  const target = o.peekStack(size);
  o.releaseStack(withImmediate ? o.immediate64().and(Value.i64(65535)).add(size) : size);
  o.jumpTo(target.toI64U(), size);
}
function defineControlTransfer(table) {
  const transfer = { endsBlock: true };
  for (const [letters, code] of Object.entries(conditionNumber)) {
    table.define(new RegExp(`^J${letters}_rel`), (o, name) => {
      o.f.if(condition(o, code), () => o.jumpRelative(branchSize(name)));
    });
  }
  table.define(/^(Loop|Loope|Loopne)_rel8/, loop);
  table.define(/^J(cxz|ecxz|rcxz)_rel8/, (o, name) => {
    o.f.if(counter(o, counterShift(name)).eqz(), () => o.jumpRelative(branchSize(name)));
  });
  table.define(/^Jmp_rel/, (o, name) => o.jumpRelative(branchSize(name)), transfer);
  table.define(
    /^Call_rel/,
    (o, name) => {
      const size = branchSize(name);
      const next = o.nextInstruction();
      o.push(size, size === 8 ? next : next.wrap());
      o.jumpRelative(size);
    },
    transfer
  );
  table.define(/^Jmp_rm\d+$/, (o) => o.jumpTo(o.read(0).toI64U(), o.size(0)), transfer);
  table.define(
    /^Call_rm\d+$/,
    (o) => {
      const size = o.size(0);
      const target = o.f.let(o.read(0).toI64U());
      const next = o.nextInstruction();
      o.push(size, size === 8 ? next : next.wrap());
      o.jumpTo(target, size);
    },
    transfer
  );
  table.define(/^Retn[wdq]$/, (o, name) => returnNear(o, sizeOfSuffix(name, "Retn"), false), transfer);
  table.define(/^Retn[wdq]_imm16$/, (o, name) => returnNear(o, sizeOfSuffix(name, "Retn"), true), transfer);
}

// emulator/isa/integer/data-transfer.ts
function moveOffset(o, store4) {
  const size = o.size(0);
  const mask2 = Value.i64(-1).shrU(o.addressShift().extendU());
  const place2 = o.placeAt(store4 ? "write" : "read", size, o.segment(), o.immediate64().and(mask2));
  if (store4) {
    o.f.store(size, place2.address, o.gpr(Gpr.rax, size));
    place2.commit();
  } else o.setGpr(Gpr.rax, size, o.f.load(wordType(size), size, place2.address));
}
function moveWithExtension(o, signed) {
  const source = o.size(1);
  const value = o.read(1);
  const wide = o.f.let(signed ? signExtend(value, source) : value.toI64U());
  o.write(0, o.size(0) === 8 ? wide : wide.wrap());
}
function exchange2(o) {
  if (!o.memoryForm) {
    const a = o.f.let(o.read(0));
    const b = o.f.let(o.read(1));
    o.write(0, b);
    o.write(1, a);
    return;
  }
  const before2 = o.f.variable(wordType(o.size(0)));
  o.modify(0, (old) => {
    o.f.set(before2, old);
    return o.read(1);
  });
  o.write(1, before2.get);
}
function defineDataTransfer(table) {
  table.define(/^Mov_(rm|r)\d+_(rm|r|imm)\d+$/, (o) => o.write(0, o.readAs(1, o.size(0))));
  table.define(/^Mov_(AL|AX|EAX|RAX)_moffs/, (o) => moveOffset(o, false));
  table.define(/^Mov_moffs/, (o) => moveOffset(o, true));
  table.define(/^Movzx_/, (o) => moveWithExtension(o, false));
  table.define(/^(Movsx|Movsxd)_/, (o) => moveWithExtension(o, true));
  table.define(/^Xchg_/, exchange2);
  table.define(/^Movnti_/, (o) => o.write(0, o.read(1)));
  table.define(/^Lea_/, (o) => {
    const address = o.effectiveAddress();
    o.write(0, o.size(0) === 8 ? address : address.wrap());
  });
  for (const [letters, code] of Object.entries(conditionNumber)) {
    table.define(new RegExp(`^Cmov${letters}_`), (o) => {
      const source = o.f.let(o.read(1));
      o.write(0, condition(o, code).select(source, o.f.let(o.read(0))));
    });
    table.define(new RegExp(`^Set${letters}_rm8$`), (o) => o.write(0, condition(o, code).eqz().eqz()));
  }
  table.define(/^Cbw$/, (o) => o.setGpr(Gpr.rax, 2, o.gpr(Gpr.rax, 1).extend8S()));
  table.define(/^Cwde$/, (o) => o.setGpr(Gpr.rax, 4, o.gpr(Gpr.rax, 2).extend16S()));
  table.define(/^Cdqe$/, (o) => o.setGpr(Gpr.rax, 8, o.gpr(Gpr.rax, 4).extendS()));
  table.define(/^Cwd$/, (o) => o.setGpr(Gpr.rdx, 2, o.gpr(Gpr.rax, 2).extend16S().shrS(15)));
  table.define(/^Cdq$/, (o) => o.setGpr(Gpr.rdx, 4, o.gpr(Gpr.rax, 4).shrS(31)));
  table.define(/^Cqo$/, (o) => o.setGpr(Gpr.rdx, 8, o.gpr(Gpr.rax, 8).shrS(63)));
  table.define(/^Xlat_m8$/, (o) => {
    const mask2 = Value.i64(-1).shrU(o.addressShift().extendU());
    const address = o.gpr(Gpr.rbx, 8).add(o.gpr(Gpr.rax, 1).extendU()).and(mask2);
    const place2 = o.placeAt("read", 1, o.segment(), address);
    o.setGpr(Gpr.rax, 1, o.f.load(ValueType.i32, 1, place2.address));
  });
}

// emulator/isa/integer/decimal.ts
function adjustFlag(o) {
  return o.state32(State.flagsAux).and(Aux.adjust).shrU(3);
}
function flagsOfByte(o, byte, adjust, carry) {
  const sign2 = byte.and(128);
  const zero2 = byte.and(255).eqz().shl(6);
  const parity2 = byte.and(255).popcnt().and(1).xor(1).shl(2);
  setArithmeticFlags(o, carry.or(adjust.shl(4)).or(sign2).or(zero2).or(parity2));
}
function decimalAdjust(o, subtract3) {
  const f = o.f;
  const old = f.let(o.gpr(Gpr.rax, 1));
  const oldCarry = f.let(carryFlag(o));
  const lowAdjust = f.let(old.and(15).gtU(9).or(adjustFlag(o)));
  const highAdjust = f.let(old.gtU(153).or(oldCarry));
  const correction = f.let(lowAdjust.mul(6).add(highAdjust.mul(96)));
  const result = f.let((subtract3 ? old.sub(correction) : old.add(correction)).and(255));
  const carry = f.let(subtract3 ? highAdjust.or(lowAdjust.and(old.ltU(6))) : highAdjust);
  o.setGpr(Gpr.rax, 1, result);
  flagsOfByte(o, result, lowAdjust, carry);
}
function asciiAdjust(o, subtract3) {
  const f = o.f;
  const ax = f.let(o.gpr(Gpr.rax, 2));
  const adjust = f.let(ax.and(15).gtU(9).or(adjustFlag(o)));
  const change = adjust.mul(262);
  const result = f.let((subtract3 ? ax.sub(change) : ax.add(change)).and(65295));
  o.setGpr(Gpr.rax, 2, result);
  flagsOfByte(o, f.let(result.and(255)), adjust, adjust);
}
function defineDecimal(table) {
  table.define(/^Daa$/, (o) => decimalAdjust(o, false), { cold: true });
  table.define(/^Das$/, (o) => decimalAdjust(o, true), { cold: true });
  table.define(/^Aaa$/, (o) => asciiAdjust(o, false), { cold: true });
  table.define(/^Aas$/, (o) => asciiAdjust(o, true), { cold: true });
  table.define(
    /^Aam_imm8$/,
    (o) => {
      const base = o.f.let(o.immediate(1));
      o.f.if(base.eqz(), () => o.raise(0));
      const al = o.f.let(o.gpr(Gpr.rax, 1));
      const low2 = o.f.let(al.remU(base));
      o.setGpr(Gpr.rax, 2, al.divU(base).shl(8).or(low2));
      flagsOfLogic(o, 1, low2);
    },
    { cold: true }
  );
  table.define(
    /^Aad_imm8$/,
    (o) => {
      const ax = o.f.let(o.gpr(Gpr.rax, 2));
      const low2 = o.f.let(
        ax.and(255).add(ax.shrU(8).mul(o.immediate(1))).and(255)
      );
      o.setGpr(Gpr.rax, 2, low2);
      flagsOfLogic(o, 1, low2);
    },
    { cold: true }
  );
}

// emulator/isa/integer/flag.ts
function defineFlag(table) {
  table.define(/^Clc$/, (o) => setCarry(o, Value.i32(0)));
  table.define(/^Stc$/, (o) => setCarry(o, Value.i32(1)));
  table.define(/^Cmc$/, (o) => setCarry(o, carryFlag(o).xor(1)));
  table.define(/^Cld$/, (o) => o.setState32(State.flagsRest, o.state32(State.flagsRest).and(~Eflags2.df)));
  table.define(/^Std$/, (o) => o.setState32(State.flagsRest, o.state32(State.flagsRest).or(Eflags2.df)));
  table.define(/^Lahf$/, (o) => {
    o.f.store(1, Value.i32(0), arithmeticFlags(o).and(213).or(2), State.gpr + Gpr.rax * 8 + 1);
  });
  table.define(/^Sahf$/, (o) => {
    const high2 = o.f.load(Value.i32(0).type, 1, Value.i32(0), State.gpr + Gpr.rax * 8 + 1);
    setArithmeticFlags(o, high2.and(213).or(overflowFlag(o).shl(11)));
  });
  table.define(/^Salc$/, (o) => o.setGpr(Gpr.rax, 1, carryFlag(o).neg()));
}

// emulator/isa/integer/logic.ts
function logic(o, operation) {
  const size = o.size(0);
  o.modify(0, (old) => {
    const result = o.f.let(operation(old, o.readAs(1, size)));
    flagsOfLogic(o, size, result);
    return result;
  });
}
function defineLogic(table) {
  table.define(/^And_/, (o) => logic(o, (a, b) => a.and(b)));
  table.define(/^Or_/, (o) => logic(o, (a, b) => a.or(b)));
  table.define(/^Xor_/, (o) => logic(o, (a, b) => a.xor(b)));
  table.define(/^Not_/, (o) => o.modify(0, (old) => old.not()));
  table.define(/^Test_/, (o) => {
    const size = o.size(0);
    const a = o.f.let(o.read(0));
    flagsOfLogic(o, size, o.f.let(a.and(o.readAs(1, size))));
  });
}

// emulator/isa/integer/multiply-divide.ts
var { i64: i642 } = ValueType;
var DIVIDE_ERROR = 0;
function multiplyHighUnsigned(o, a, b) {
  const low2 = (value) => value.and(Value.i64(0xffffffffn));
  const al = o.f.let(low2(a));
  const ah = o.f.let(a.shrU(32));
  const bl = o.f.let(low2(b));
  const bh = o.f.let(b.shrU(32));
  const middle = o.f.let(ah.mul(bl).add(al.mul(bl).shrU(32)));
  const other = o.f.let(al.mul(bh).add(low2(middle)));
  return o.f.let(ah.mul(bh).add(middle.shrU(32)).add(other.shrU(32)));
}
function multiplyHighSigned(o, a, b) {
  const high2 = multiplyHighUnsigned(o, a, b);
  return o.f.let(high2.sub(a.shrS(63).and(b)).sub(b.shrS(63).and(a)));
}
function multiply2(o, signed) {
  const size = o.size(0);
  const source = o.f.let(o.read(0));
  const accumulator = o.f.let(o.gpr(Gpr.rax, size));
  if (size === 8) {
    const low3 = o.f.let(accumulator.mul(source));
    const high2 = signed ? multiplyHighSigned(o, accumulator, source) : multiplyHighUnsigned(o, accumulator, source);
    o.setGpr(Gpr.rax, 8, low3);
    o.setGpr(Gpr.rdx, 8, high2);
    const overflow2 = o.f.let(signed ? high2.ne(low3.shrS(63)) : high2.eqz().eqz());
    flagsOfResult(o, size, low3, overflow2, overflow2);
    return;
  }
  const widen = (value) => signed ? signExtend(value, size) : value.extendU();
  const product = o.f.let(widen(accumulator).mul(widen(source)));
  const low2 = o.f.let(product.wrap());
  if (size === 1) o.setGpr(Gpr.rax, 2, low2);
  else {
    o.setGpr(Gpr.rax, size, low2);
    o.setGpr(Gpr.rdx, size, product.shrU(size * 8).wrap());
  }
  const fits = signed ? signExtend(low2, size) : size === 4 ? low2.extendU() : low2.and(size === 1 ? 255 : 65535).extendU();
  const overflow = o.f.let(product.ne(fits));
  flagsOfResult(o, size, low2, overflow, overflow);
}
function multiplyTo(o) {
  const size = o.size(0);
  const a = o.f.let(o.read(o.operands.length === 3 ? 1 : 0));
  const b = o.f.let(o.operands.length === 3 ? o.immediate(size) : o.read(1));
  if (size === 8) {
    const low3 = o.f.let(a.mul(b));
    const overflow2 = o.f.let(multiplyHighSigned(o, a, b).ne(low3.shrS(63)));
    o.write(0, low3);
    flagsOfResult(o, size, low3, overflow2, overflow2);
    return;
  }
  const product = o.f.let(signExtend(a, size).mul(signExtend(b, size)));
  const low2 = o.f.let(product.wrap());
  const overflow = o.f.let(product.ne(signExtend(low2, size)));
  o.write(0, low2);
  flagsOfResult(o, size, low2, overflow, overflow);
}
function divide2(o, signed) {
  const size = o.size(0);
  const divisor = o.f.let(o.read(0));
  if (size === 8) {
    divide64(o, divisor, signed);
    return;
  }
  o.f.if(divisor.eqz(), () => o.raise(DIVIDE_ERROR));
  const low2 = size === 1 ? o.gpr(Gpr.rax, 2) : o.gpr(Gpr.rax, size);
  let dividend;
  if (size === 4) dividend = o.gpr(Gpr.rdx, 4).extendU().shl(32).or(low2.extendU());
  else if (size === 2) dividend = o.gpr(Gpr.rdx, 2).shl(16).or(low2).as(i642);
  else dividend = low2.extendU();
  if (signed && size < 4) dividend = size === 2 ? dividend.extend32S() : dividend.extend16S();
  const wide = o.f.let(dividend);
  const by = o.f.let(signed ? signExtend(divisor, size) : divisor.extendU());
  if (signed && size === 4)
    o.f.if(wide.eq(Value.i64(-0x8000000000000000n)).and(by.eq(Value.i64(-1))), () => o.raise(DIVIDE_ERROR));
  const quotient = o.f.let(signed ? wide.divS(by) : wide.divU(by));
  const remainder2 = o.f.let(signed ? wide.remS(by) : wide.remU(by));
  const fits = signed ? quotient.eq(signExtend(quotient.wrap(), size)) : quotient.shrU(size * 8).eqz();
  o.f.if(fits.eqz(), () => o.raise(DIVIDE_ERROR));
  if (size === 1) o.setGpr(Gpr.rax, 2, quotient.wrap().and(255).or(remainder2.wrap().and(255).shl(8)));
  else {
    o.setGpr(Gpr.rax, size, quotient.wrap());
    o.setGpr(Gpr.rdx, size, remainder2.wrap());
  }
}
function divide64(o, divisor, signed) {
  const low2 = o.f.let(o.gpr(Gpr.rax, 8));
  const high2 = o.f.let(o.gpr(Gpr.rdx, 8));
  const small = signed ? high2.eq(low2.shrS(63)).and(divisor.add(1).gtU(Value.i64(1))) : high2.eqz().and(divisor.eqz().eqz());
  o.f.if(
    small,
    () => {
      const quotient = o.f.let(signed ? low2.divS(divisor) : low2.divU(divisor));
      const remainder2 = o.f.let(signed ? low2.remS(divisor) : low2.remU(divisor));
      o.setGpr(Gpr.rax, 8, quotient);
      o.setGpr(Gpr.rdx, 8, remainder2);
    },
    () => {
      o.setState64(State.helperResult, divisor);
      o.helper("divide128", signed ? 1 : 0);
    }
  );
}
function defineMultiplyDivide(table) {
  table.define(/^Mul_/, (o) => multiply2(o, false), { cold: true });
  table.define(/^Imul_rm\d+$/, (o) => multiply2(o, true), { cold: true });
  table.define(/^Imul_r\d+_rm\d+(_imm\d+)?$/, multiplyTo);
  table.define(/^Div_/, (o) => divide2(o, false), { cold: true });
  table.define(/^Idiv_/, (o) => divide2(o, true), { cold: true });
}

// emulator/isa/integer/shift.ts
var { i32: i322, i64: i643 } = ValueType;
function maskedCount(o, operand, size) {
  return o.f.let(
    o.read(operand).toI32().and(size === 8 ? 63 : 31).extendU()
  );
}
function bit(value, position) {
  return value.shrU(position).and(Value.i64(1)).wrap();
}
var shifts = {
  shl: (wide, count, bits2) => ({
    result: wide.shl(count),
    carry: bits2 === 64 ? bit(wide, Value.i64(64).sub(count)) : bit(wide.shl(count), bits2),
    overflow: (result, carry) => bit(result, bits2 - 1).xor(carry)
  }),
  shr: (wide, count, bits2) => ({
    result: wide.shrU(count),
    carry: bit(wide, count.sub(1)),
    overflow: () => bit(wide, bits2 - 1)
  }),
  sar: (wide, count, bits2) => {
    const extended2 = bits2 === 64 ? wide : signExtend(wide.wrap(), bits2 / 8);
    return { result: extended2.shrS(count), carry: bit(extended2.shrS(count.sub(1)), 0), overflow: () => Value.i32(0) };
  }
};
function shift(o, kind) {
  const size = o.size(0);
  const count = maskedCount(o, 1, size);
  o.modify(0, (old) => {
    const wide = o.f.let(old.toI64U());
    const { result, carry, overflow } = kind(wide, count, size * 8);
    const kept = o.f.let(result);
    o.f.if(count.eqz().eqz(), () => {
      const carried = o.f.let(carry);
      const word = size === 8 ? kept : kept.wrap();
      flagsOfResult(o, size, word, carried, o.f.let(overflow(kept, carried)));
    });
    return size === 8 ? kept : kept.wrap();
  });
}
function rotate(o, left) {
  const size = o.size(0);
  const bits2 = size * 8;
  const count = maskedCount(o, 1, size);
  o.modify(0, (old) => {
    let result;
    if (size === 8) result = left ? old.rotl(count) : old.rotr(count);
    else if (size === 4) result = left ? old.rotl(count.wrap()) : old.rotr(count.wrap());
    else {
      const by = o.f.let(count.wrap().and(bits2 - 1));
      const back = Value.i32(bits2).sub(by);
      result = left ? old.shl(by).or(old.shrU(back)) : old.shrU(by).or(old.shl(back));
    }
    const kept = o.f.let(result);
    o.f.if(count.eqz().eqz(), () => {
      const wide = o.f.let(kept.toI64U());
      const top = bit(wide, bits2 - 1);
      if (left) {
        const carry = o.f.let(bit(wide, 0));
        setCarryOverflow(o, carry, top.xor(carry));
      } else {
        const carry = o.f.let(top);
        setCarryOverflow(o, carry, carry.xor(bit(wide, bits2 - 2)));
      }
    });
    return kept;
  });
}
function rotateThroughCarry(o, left) {
  const size = o.size(0);
  const bits2 = size * 8;
  const masked = maskedCount(o, 1, size);
  const count = size >= 4 ? masked : o.f.let(masked.remU(bits2 + 1));
  o.modify(0, (old) => {
    const wide = o.f.let(old.toI64U());
    const result = o.f.variable(i643);
    o.f.set(result, wide);
    o.f.if(count.eqz().eqz(), () => {
      const carryIn = o.f.let(carryFlag(o).extendU());
      const carry = o.f.variable(i322);
      if (left) {
        const returned = wide.shrU(1).shrU(Value.i64(bits2).sub(count));
        o.f.set(carry, bit(wide, Value.i64(bits2).sub(count)));
        o.f.set(
          result,
          wide.shl(count).or(carryIn.shl(count.sub(1))).or(returned)
        );
      } else {
        const returned = wide.shl(1).shl(Value.i64(bits2).sub(count));
        o.f.set(carry, bit(wide, count.sub(1)));
        o.f.set(
          result,
          wide.shrU(count).or(carryIn.shl(Value.i64(bits2).sub(count))).or(returned)
        );
      }
      const top = bit(result.get, bits2 - 1);
      setCarryOverflow(o, carry.get, o.f.let(left ? top.xor(carry.get) : top.xor(bit(result.get, bits2 - 2))));
    });
    return size === 8 ? result.get : result.get.wrap();
  });
}
function doubleShift(o, left) {
  const size = o.size(0);
  const bits2 = size * 8;
  const count = maskedCount(o, 2, size);
  o.modify(0, (old) => {
    const a = o.f.let(old.toI64U());
    const b = o.f.let(o.read(1).toI64U());
    const result = o.f.variable(i643);
    o.f.set(result, a);
    o.f.if(count.eqz().eqz(), () => {
      const back = o.f.let(Value.i64(bits2).sub(count));
      const carry = o.f.let(left ? bit(a, back) : bit(a, count.sub(1)));
      o.f.set(result, left ? a.shl(count).or(b.shrU(back)) : a.shrU(count).or(b.shl(back)));
      const word = o.f.let(size === 8 ? result.get : result.get.wrap());
      flagsOfResult(o, size, word, carry, o.f.let(bit(a.xor(result.get), bits2 - 1)));
    });
    return size === 8 ? result.get : result.get.wrap();
  });
}
function defineShift(table) {
  table.define(/^(Shl|Sal)_/, (o) => shift(o, shifts.shl));
  table.define(/^Shr_/, (o) => shift(o, shifts.shr));
  table.define(/^Sar_/, (o) => shift(o, shifts.sar));
  table.define(/^Rol_/, (o) => rotate(o, true));
  table.define(/^Ror_/, (o) => rotate(o, false));
  table.define(/^Rcl_/, (o) => rotateThroughCarry(o, true), { cold: true });
  table.define(/^Rcr_/, (o) => rotateThroughCarry(o, false), { cold: true });
  table.define(/^Shld_/, (o) => doubleShift(o, true), { cold: true });
  table.define(/^Shrd_/, (o) => doubleShift(o, false), { cold: true });
}

// emulator/isa/integer/string.ts
var { i32: i323, i64: i644 } = ValueType;
var PAGE3 = 4096;
function addressMask(o) {
  return Value.i64(-1).shrU(o.addressShift().extendU());
}
function index(o, register) {
  return o.gpr(register, 8).and(addressMask(o));
}
function setIndex(o, register, value) {
  const kept = o.f.let(value);
  o.f.if(
    o.addressShift().eq(48),
    () => o.setGpr(register, 2, kept.wrap()),
    () => o.setGpr(register, 8, kept.and(addressMask(o)))
  );
}
function step(o, size) {
  const down = o.state32(State.flagsRest).and(Eflags2.df);
  return down.select(Value.i64(-size), Value.i64(size));
}
function advance(o, register, size) {
  setIndex(o, register, o.gpr(register, 8).add(step(o, size)));
}
function extraSlot() {
  return Value.i32(segmentSlot(Segment.es));
}
function load2(o, size, slot, offset) {
  const place2 = o.placeAt("read", size, slot, offset);
  return o.f.let(o.f.load(wordType(size), size, place2.address));
}
function repeat(o, iteration, compares, bulk) {
  const f = o.f;
  const prefix = o.prefixes().and(RecordFlags.rep | RecordFlags.repne);
  f.if(prefix.eqz(), iteration, () => {
    f.block((done) => {
      f.brIf(done, index(o, Gpr.rcx).eqz());
      f.loop((again) => {
        f.scoped(() => {
          const left = f.let(index(o, Gpr.rcx));
          if (bulk) {
            const budget = o.state32(State.fuel).add(1).extendS();
            const most2 = f.let(left.ltU(budget).select(left, f.let(budget)));
            f.if(
              most2.gtS(Value.i64(1)),
              () => {
                const did = f.let(bulk(most2));
                f.if(
                  did.eqz().eqz(),
                  () => {
                    setIndex(o, Gpr.rcx, left.sub(did));
                    o.setState32(State.fuel, o.state32(State.fuel).sub(did.wrap()).add(1));
                  },
                  () => {
                    iteration();
                    setIndex(o, Gpr.rcx, left.sub(1));
                  }
                );
              },
              () => {
                iteration();
                setIndex(o, Gpr.rcx, left.sub(1));
              }
            );
          } else {
            iteration();
            setIndex(o, Gpr.rcx, left.sub(1));
          }
          f.brIf(done, index(o, Gpr.rcx).eqz());
          if (compares) {
            const wanted = o.prefixes().and(RecordFlags.rep).eqz().eqz();
            f.brIf(done, zeroFlag(o).ne(wanted));
          }
          const fuel = f.let(o.state32(State.fuel));
          f.if(fuel.leS(0), () => {
            o.setState32(State.exitReason, Value.i32(1));
            o.interruptedIteration();
          });
          o.setState32(State.fuel, fuel.sub(1));
          f.br(again);
        });
      });
    });
  });
}
function toPageEnd(offset, base, size) {
  const inPage = offset.add(base).and(Value.i64(PAGE3 - 1));
  return Value.i64(PAGE3).sub(inPage).divU(size);
}
function least(o, a, b) {
  const x = o.f.let(a);
  const y = o.f.let(b);
  return o.f.let(x.ltU(y).select(x, y));
}
function inside(o, slot, bound, offset, bytes) {
  return offset.add(bytes).leU(o.f.load(i644, 8, slot, bound));
}
function moveString(o, size) {
  const f = o.f;
  const iteration = () => {
    const value = load2(o, size, o.segment(), index(o, Gpr.rsi));
    const place2 = o.placeAt("write", size, extraSlot(), index(o, Gpr.rdi));
    f.store(size, place2.address, value);
    place2.commit();
    advance(o, Gpr.rsi, size);
    advance(o, Gpr.rdi, size);
  };
  repeat(o, iteration, false, (most2) => {
    const did = f.variable(i644);
    f.set(did, Value.i64(0));
    f.if(o.state32(State.flagsRest).and(Eflags2.df).eqz(), () => {
      const source = f.let(o.segment());
      const from = f.let(index(o, Gpr.rsi));
      const to = f.let(index(o, Gpr.rdi));
      const ends = least(
        o,
        toPageEnd(from, f.load(i644, 8, source, SegmentSlot.effectiveBase), size),
        toPageEnd(to, f.load(i644, 8, extraSlot(), SegmentSlot.effectiveBase), size)
      );
      const count = least(o, most2, ends);
      const bytes = f.let(count.mul(size));
      const fits = inside(o, source, SegmentSlot.readBound, from, bytes).and(
        inside(o, extraSlot(), SegmentSlot.writeBound, to, bytes)
      );
      f.if(fits.and(count.gtU(Value.i64(1))), () => {
        const read = o.placeAt("read", size, source, from).address;
        const write = o.placeAt("write", size, extraSlot(), to).address;
        const apart = write.sub(read).geU(bytes.wrap());
        f.if(read.ne(State.exchange).and(write.ne(State.exchange)).and(apart), () => {
          f.copyMemory(write, read, bytes.wrap());
          setIndex(o, Gpr.rsi, from.add(bytes));
          setIndex(o, Gpr.rdi, to.add(bytes));
          f.set(did, count);
        });
      });
    });
    return did.get;
  });
}
function storeString(o, size) {
  const f = o.f;
  const iteration = () => {
    const place2 = o.placeAt("write", size, extraSlot(), index(o, Gpr.rdi));
    f.store(size, place2.address, o.gpr(Gpr.rax, size));
    place2.commit();
    advance(o, Gpr.rdi, size);
  };
  repeat(o, iteration, false, (most2) => {
    const did = f.variable(i644);
    f.set(did, Value.i64(0));
    f.if(o.state32(State.flagsRest).and(Eflags2.df).eqz(), () => {
      const to = f.let(index(o, Gpr.rdi));
      const count = least(o, most2, toPageEnd(to, f.load(i644, 8, extraSlot(), SegmentSlot.effectiveBase), size));
      const bytes = f.let(count.mul(size));
      f.if(inside(o, extraSlot(), SegmentSlot.writeBound, to, bytes).and(count.gtU(Value.i64(1))), () => {
        const write = o.placeAt("write", size, extraSlot(), to).address;
        f.if(write.ne(State.exchange), () => {
          if (size === 1) f.fillMemory(write, o.gpr(Gpr.rax, 1), bytes.wrap());
          else {
            const at = f.variable(i323);
            f.set(at, write);
            const end = f.let(write.add(bytes.wrap()));
            const value = f.let(o.gpr(Gpr.rax, size));
            f.loop((again) => {
              f.store(size, at.get, value);
              f.set(at, at.get.add(size));
              f.brIf(again, at.get.ltU(end));
            });
          }
          setIndex(o, Gpr.rdi, to.add(bytes));
          f.set(did, count);
        });
      });
    });
    return did.get;
  });
}
function loadString(o, size) {
  repeat(
    o,
    () => {
      const value = load2(o, size, o.segment(), index(o, Gpr.rsi));
      o.setGpr(Gpr.rax, size, value);
      advance(o, Gpr.rsi, size);
    },
    false
  );
}
function compareString(o, size) {
  repeat(
    o,
    () => {
      const a = load2(o, size, o.segment(), index(o, Gpr.rsi));
      const b = load2(o, size, extraSlot(), index(o, Gpr.rdi));
      flagsOfSubtract(o, size, a, b, o.f.let(a.sub(b)));
      advance(o, Gpr.rsi, size);
      advance(o, Gpr.rdi, size);
    },
    true
  );
}
function scanString(o, size) {
  repeat(
    o,
    () => {
      const a = o.f.let(o.gpr(Gpr.rax, size));
      const b = load2(o, size, extraSlot(), index(o, Gpr.rdi));
      flagsOfSubtract(o, size, a, b, o.f.let(a.sub(b)));
      advance(o, Gpr.rdi, size);
    },
    true
  );
}
function defineString(table) {
  const kinds = {
    "^Movs([bwdq])_m": moveString,
    "^Stos([bwdq])_m": storeString,
    "^Lods([bwdq])_(AL|AX|EAX|RAX)_m": loadString,
    "^Cmps([bwdq])_m": compareString,
    "^Scas([bwdq])_(AL|AX|EAX|RAX)_m": scanString
  };
  const sizes = { b: 1, w: 2, d: 4, q: 8 };
  for (const [pattern, emit] of Object.entries(kinds)) {
    const letter = new RegExp(pattern);
    table.define(letter, (o, name) => emit(o, sizes[letter.exec(name)[1]]), { cold: true });
  }
}

// emulator/isa/integer/system.ts
var BITS2 = { "16": 2, "32": 4, "64": 8 };
function sizeInName(name) {
  if (/_m1632_16$/.test(name)) return 2;
  const match = /(16|32|64)(?:_imm8)?$/.exec(name) ?? /_[a-z]*(16|32|64)/.exec(name);
  return match ? BITS2[match[1]] : 0;
}
function defineSystem(table) {
  const ends = { endsBlock: true };
  const helper = (pattern, name, options3 = {}) => table.define(pattern, (o, code) => o.helper(name, sizeInName(code)), options3);
  helper(/^Cpuid$/, "cpuid");
  helper(/^Rdmsr$/, "rdmsr");
  helper(/^Wrmsr$/, "wrmsr", ends);
  helper(/^Rdtsc$/, "rdtsc");
  helper(/^Rdtscp$/, "rdtscp");
  helper(/^Rdpmc$/, "rdpmc");
  helper(/^Hlt$/, "hlt", ends);
  helper(/^Cli$/, "cli");
  helper(/^Sti$/, "sti", ends);
  table.define(/^Pushf[wdq]$/, (o, name) => o.helper("pushf", sizeOfSuffix(name, "Pushf")));
  table.define(/^Popf[wdq]$/, (o, name) => o.helper("popf", sizeOfSuffix(name, "Popf")), ends);
  helper(/^Int_imm8$/, "interrupt", ends);
  helper(/^Int1$/, "interrupt1", ends);
  helper(/^Int3$/, "interrupt3", ends);
  helper(/^Into$/, "interruptOverflow", ends);
  table.define(/^Iret[wdq]$/, (o, name) => o.helper("iret", sizeOfSuffix(name, "Iret")), ends);
  table.define(/^Jmp_ptr16(16|32)$/, (o, name) => o.helper("jumpFar", sizeInName(name)), ends);
  table.define(/^Call_ptr16(16|32)$/, (o, name) => o.helper("callFar", sizeInName(name)), ends);
  helper(/^Jmp_m16(16|32|64)$/, "jumpFarMemory", ends);
  helper(/^Call_m16(16|32|64)$/, "callFarMemory", ends);
  table.define(/^Retf[wdq](_imm16)?$/, (o, name) => o.helper("returnFar", sizeOfSuffix(name, "Retf")), ends);
  helper(/^Mov_Sreg_/, "moveToSegment", ends);
  table.define(
    /^Mov_(rm16|r32m16|r64m16)_Sreg$/,
    (o, name) => o.helper("moveFromSegment", BITS2[/\d+/.exec(name)[0]])
  );
  table.define(/^Push[wdq]_(ES|CS|SS|DS|FS|GS)$/, (o, name) => o.helper("pushSegment", sizeOfSuffix(name, "Push")));
  table.define(/^Pop[wdq]_(ES|SS|DS|FS|GS)$/, (o, name) => o.helper("popSegment", sizeOfSuffix(name, "Pop")), ends);
  const far = { Les: 0, Lss: 2, Lds: 3, Lfs: 4, Lgs: 5 };
  for (const [mnemonic, segment] of Object.entries(far)) {
    table.define(new RegExp(`^${mnemonic}_r`), (o) => o.helper("loadFarPointer", o.size(0) | segment << 8), ends);
  }
  helper(/^Mov_cr_r(32|64)$/, "moveToControl", ends);
  helper(/^Mov_r(32|64)_cr$/, "moveFromControl");
  helper(/^Mov_dr_r(32|64)$/, "moveToDebug", ends);
  helper(/^Mov_r(32|64)_dr$/, "moveFromDebug");
  helper(/^Clts$/, "clts", ends);
  table.define(/^Lmsw_/, (o) => o.helper("lmsw"), ends);
  table.define(/^Smsw_/, (o) => o.helper("smsw", o.size(0)));
  for (const name of ["sgdt", "sidt", "lgdt", "lidt"]) {
    helper(new RegExp(`^${name[0].toUpperCase()}${name.slice(1)}_m16`), name, ends);
  }
  for (const name of ["sldt", "str", "lldt", "ltr", "verr", "verw"]) {
    table.define(new RegExp(`^${name[0].toUpperCase()}${name.slice(1)}_`), (o) => o.helper(name, o.size(0)), ends);
  }
  table.define(/^Lar_/, (o) => o.helper("lar", o.size(0)));
  table.define(/^Lsl_/, (o) => o.helper("lsl", o.size(0)));
  table.define(/^Arpl_/, (o) => o.helper("arpl", 2));
  helper(/^Invlpg_m$/, "invlpg", ends);
  helper(/^Invd$/, "invd");
  helper(/^Wbinvd$/, "wbinvd");
  helper(/^Clflush_m8$/, "clflush");
  helper(/^Swapgs$/, "swapgs", ends);
  for (const name of ["Rdfsbase", "Rdgsbase", "Wrfsbase", "Wrgsbase"])
    helper(new RegExp(`^${name}_`), name.toLowerCase(), ends);
  table.define(/^In_(AL|AX|EAX)_imm8$/, (o) => o.helper("in", o.size(0)));
  table.define(/^In_(AL|AX|EAX)_DX$/, (o) => o.helper("inDx", o.size(0)));
  table.define(/^Out_imm8_(AL|AX|EAX)$/, (o) => o.helper("out", o.size(1)), ends);
  table.define(/^Out_DX_(AL|AX|EAX)$/, (o) => o.helper("outDx", o.size(1)), ends);
  table.define(/^Ins[bwd]_m(8|16|32)_DX$/, (o) => o.helper("ins", o.size(0)), ends);
  table.define(/^Outs[bwd]_DX_m(8|16|32)$/, (o) => o.helper("outs", o.size(1)), ends);
  helper(/^Sysenter$/, "sysenter", ends);
  table.define(/^Sysexit[dq]$/, (o, name) => o.helper("sysexit", sizeOfSuffix(name, "Sysexit")), ends);
  helper(/^Syscall$/, "syscall", ends);
  table.define(/^Sysret[dq]$/, (o, name) => o.helper("sysret", sizeOfSuffix(name, "Sysret")), ends);
  table.define(/^Bound_r(16|32)_/, (o) => o.helper("bound", o.size(0)));
  helper(/^Monitor[wdq]$/, "monitor");
  helper(/^Mwait$/, "mwait");
  table.define(/^Ud[012]$|^Ud[01]_/, (o) => o.helper("undefined"), ends);
  table.define(
    /^(Nop[wdq]|Nop_rm|Pause|Reservednop_|Prefetch(nta|t0|t1|t2|w|wt1)?_m8|Lfence|Mfence|Sfence|Endbr)/,
    () => {
    }
  );
}

// emulator/isa/integer/index.ts
function defineInteger(table) {
  defineArithmetic(table);
  defineLogic(table);
  defineShift(table);
  defineBit(table);
  defineMultiplyDivide(table);
  defineDataTransfer(table);
  defineStack(table);
  defineControlTransfer(table);
  defineString(table);
  defineFlag(table);
  defineDecimal(table);
  defineSystem(table);
}

// emulator/isa/emit/simd-opcode.ts
var Simd = {
  const: 12,
  shuffle: 13,
  swizzle: 14,
  i8x16Splat: 15,
  i16x8Splat: 16,
  i32x4Splat: 17,
  i64x2Splat: 18,
  i32x4ExtractLane: 27,
  i32x4ReplaceLane: 28,
  i64x2ExtractLane: 29,
  i64x2ReplaceLane: 30,
  f32x4ExtractLane: 31,
  f32x4ReplaceLane: 32,
  f64x2ExtractLane: 33,
  f64x2ReplaceLane: 34,
  i8x16Eq: 35,
  i8x16GtS: 39,
  i16x8Eq: 45,
  i16x8GtS: 49,
  i32x4Eq: 55,
  i32x4GtS: 59,
  f32x4Eq: 65,
  f32x4Ne: 66,
  f32x4Lt: 67,
  f32x4Gt: 68,
  f32x4Le: 69,
  f32x4Ge: 70,
  f64x2Eq: 71,
  f64x2Ne: 72,
  f64x2Lt: 73,
  f64x2Gt: 74,
  f64x2Le: 75,
  f64x2Ge: 76,
  not: 77,
  and: 78,
  /** a and not b. */
  andNot: 79,
  or: 80,
  xor: 81,
  /** Bits of the first where the third is 1, else of the second. */
  bitSelect: 82,
  load32Zero: 92,
  load64Zero: 93,
  i8x16Abs: 96,
  i8x16Neg: 97,
  i8x16AllTrue: 99,
  i8x16Bitmask: 100,
  i8x16NarrowS: 101,
  i8x16NarrowU: 102,
  i8x16Add: 110,
  i8x16AddSatS: 111,
  i8x16AddSatU: 112,
  i8x16Sub: 113,
  i8x16SubSatS: 114,
  i8x16SubSatU: 115,
  i8x16MinU: 119,
  i8x16MaxU: 121,
  i8x16AvgrU: 123,
  i16x8ExtaddPairwiseU: 125,
  i32x4ExtaddPairwiseU: 127,
  i16x8Abs: 128,
  i16x8Neg: 129,
  i16x8NarrowS: 133,
  i16x8ExtendLowS: 135,
  i16x8ExtendHighS: 136,
  i16x8ExtendLowU: 137,
  i16x8ExtendHighU: 138,
  i16x8Shl: 139,
  i16x8ShrS: 140,
  i16x8ShrU: 141,
  i16x8Add: 142,
  i16x8AddSatS: 143,
  i16x8AddSatU: 144,
  i16x8Sub: 145,
  i16x8SubSatS: 146,
  i16x8SubSatU: 147,
  i16x8Mul: 149,
  i16x8MinS: 150,
  i16x8MaxS: 152,
  i16x8AvgrU: 155,
  i32x4Abs: 160,
  i32x4Neg: 161,
  i32x4Bitmask: 164,
  i32x4Shl: 171,
  i32x4ShrS: 172,
  i32x4ShrU: 173,
  i32x4Add: 174,
  i32x4Sub: 177,
  i32x4Dot: 186,
  i32x4ExtmulLowS: 188,
  i32x4ExtmulHighS: 189,
  i32x4ExtmulLowU: 190,
  i32x4ExtmulHighU: 191,
  i64x2AllTrue: 195,
  i64x2Bitmask: 196,
  i64x2Shl: 203,
  i64x2ShrU: 205,
  i64x2Add: 206,
  i64x2Sub: 209,
  i64x2Mul: 213,
  f32x4Abs: 224,
  f32x4Sqrt: 227,
  f32x4Add: 228,
  f32x4Sub: 229,
  f32x4Mul: 230,
  f32x4Div: 231,
  f64x2Abs: 236,
  f64x2Sqrt: 239,
  f64x2Add: 240,
  f64x2Sub: 241,
  f64x2Mul: 242,
  f64x2Div: 243,
  f64x2ConvertLowI32x4S: 254
};

// emulator/isa/sse/operands.ts
var { i32: i324, i64: i645, v128 } = ValueType;
var GENERAL_PROTECTION = 13;
function vector(low2, high2) {
  const bytes = [];
  for (const half2 of [low2, high2])
    for (let shift3 = 0n; shift3 < 64n; shift3 += 8n) bytes.push(Number(half2 >> shift3 & 0xffn));
  return new Value(v128, (out) => {
    out.byte(253);
    out.unsigned(Simd.const);
    out.bytes(bytes);
  });
}
function zeroVector() {
  return vector(0n, 0n);
}
function simd(opcode, first, ...others) {
  return first.simd(opcode, v128, others);
}
function shuffle(a, b, lanes) {
  return a.simd(Simd.shuffle, v128, [b], lanes);
}
function xmmSlot(o, operand) {
  return o.registerNumber(operand).shl(4);
}
function xmmAddress(o, operand) {
  return xmmSlot(o, operand).add(State.xmm);
}
function readXmm(o, operand) {
  return o.f.load(v128, 16, xmmSlot(o, operand), State.xmm);
}
function writeXmm(o, operand, value) {
  o.f.store(16, xmmSlot(o, operand), value, State.xmm);
}
function readXmmPart(o, operand, size, offset = 0) {
  return o.f.load(size === 8 ? i645 : i324, size, xmmSlot(o, operand), State.xmm + offset);
}
function writeXmmPart(o, operand, size, value, offset = 0) {
  o.f.store(size, xmmSlot(o, operand), value, State.xmm + offset);
}
function writeXmmLow(o, operand, low2) {
  const slot = o.f.let(xmmSlot(o, operand));
  o.f.store(8, slot, low2, State.xmm);
  o.f.store(8, slot, Value.i64(0), State.xmm + 8);
}
function requireAlignment(o) {
  const slot = o.f.let(o.segment());
  const offset = o.f.let(o.effectiveAddress());
  const linear = offset.add(o.f.load(i645, 8, slot, SegmentSlot.effectiveBase));
  o.f.if(linear.wrap().and(15), () => o.raise(GENERAL_PROTECTION));
  return { slot, offset };
}
function alignedPlace(o, access, size = 16) {
  const { slot, offset } = requireAlignment(o);
  return o.placeAt(access, size, slot, offset);
}
function sourceAddress(o, operand, aligned = true) {
  if (!o.inMemory(operand)) return o.f.let(xmmAddress(o, operand));
  const size = o.size(operand);
  return (size === 16 && aligned ? alignedPlace(o, "read") : o.readPlace(size)).address;
}
function readVector(o, operand, aligned = true) {
  if (!o.inMemory(operand)) return o.f.let(readXmm(o, operand));
  return o.f.let(o.f.load(v128, 16, sourceAddress(o, operand, aligned)));
}
function readScalar(o, operand, size) {
  const type = size === 8 ? i645 : i324;
  if (o.inMemory(operand)) return o.f.let(o.f.load(type, size, o.readPlace(size).address));
  return o.f.let(readXmmPart(o, operand, size));
}
function writeVector(o, operand, value, aligned = true) {
  if (!o.inMemory(operand)) {
    writeXmm(o, operand, value);
    return;
  }
  const place2 = aligned ? alignedPlace(o, "write") : o.writePlace(16);
  o.f.store(16, place2.address, value);
  place2.commit();
}
function storeScalar(o, size, value) {
  const place2 = o.writePlace(size);
  o.f.store(size, place2.address, value);
  place2.commit();
}
function load64Zero(address, offset = 0) {
  const immediates = [0];
  let rest = offset;
  while (rest >= 128) {
    immediates.push(rest & 127 | 128);
    rest >>>= 7;
  }
  immediates.push(rest);
  return address.simd(Simd.load64Zero, v128, [], immediates);
}

// emulator/isa/mmx/packed-integer.ts
function direct(opcode) {
  return (_f, a, b) => simd(opcode, a, b);
}
function interleave(a, b, size, start) {
  const lanes = [];
  for (let at = start; lanes.length < 16; at += size)
    for (const source of [0, 16]) for (let byte = 0; byte < size; byte++) lanes.push(source + (at + byte) % 16);
  return shuffle(a, b, lanes);
}
function unpackLow(size) {
  return (_f, a, b) => interleave(a, b, size, 0);
}
function unpackHigh(size) {
  return (_f, a, b, width) => interleave(a, b, size, width / 2);
}
function pack(opcode) {
  return (f, a, b, width) => {
    if (width === 16) return simd(opcode, a, b);
    const both = f.let(shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
    return simd(opcode, both, both);
  };
}
function multiplyHigh(low2, high2) {
  const lanes = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31];
  return (_f, a, b) => shuffle(simd(low2, a, b), simd(high2, a, b), lanes);
}
function gather(a, b, size, odd, width) {
  const lanes = [];
  for (const source of [0, 16])
    for (let at = odd ? size : 0; at < width; at += 2 * size)
      for (let byte = 0; byte < size; byte++) lanes.push(source + at + byte);
  return shuffle(a, b, width === 8 ? [...lanes, ...lanes] : lanes);
}
function horizontal(opcode, size) {
  return (_f, a, b, width) => simd(opcode, gather(a, b, size, false, width), gather(a, b, size, true, width));
}
function sign(negate2, greater, equal) {
  return (f, a, b) => {
    const zero2 = f.let(zeroVector());
    const signed = simd(Simd.bitSelect, simd(negate2, a), a, simd(greater, zero2, b));
    return simd(Simd.andNot, signed, simd(equal, b, zero2));
  };
}
function sumOfDifferences(f, a, b) {
  const difference = simd(Simd.i8x16Sub, simd(Simd.i8x16MaxU, a, b), simd(Simd.i8x16MinU, a, b));
  const words2 = simd(Simd.i16x8ExtaddPairwiseU, difference);
  const pairs = f.let(simd(Simd.i32x4ExtaddPairwiseU, words2));
  const low2 = simd(Simd.and, pairs, vector(0xffffffffn, 0xffffffffn));
  return simd(Simd.i64x2Add, low2, shiftLanes(Simd.i64x2ShrU, pairs, 32));
}
function multiplyAddBytes(f, a, b) {
  const even = simd(
    Simd.i16x8Mul,
    simd(Simd.and, a, vector(0x00ff00ff00ff00ffn, 0x00ff00ff00ff00ffn)),
    shiftLanes(Simd.i16x8ShrS, f.let(shiftLanes(Simd.i16x8Shl, b, 8)), 8)
  );
  const odd = simd(Simd.i16x8Mul, shiftLanes(Simd.i16x8ShrU, a, 8), shiftLanes(Simd.i16x8ShrS, b, 8));
  return simd(Simd.i16x8AddSatS, even, odd);
}
function multiplyHighRounded(f, a, b) {
  const one2 = vector(0x0000000100000001n, 0x0000000100000001n);
  const half2 = (multiply3) => f.let(
    shiftLanes(Simd.i32x4ShrS, simd(Simd.i32x4Add, shiftLanes(Simd.i32x4ShrS, simd(multiply3, a, b), 14), one2), 1)
  );
  const lanes = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
  return shuffle(half2(Simd.i32x4ExtmulLowS), half2(Simd.i32x4ExtmulHighS), lanes);
}
var shuffleBytes = (_f, a, b, width) => {
  const mask2 = width === 16 ? 0x8f8f8f8f8f8f8f8fn : 0x8787878787878787n;
  return simd(Simd.swizzle, a, simd(Simd.and, b, vector(mask2, mask2)));
};
function shiftLanes(opcode, value, count) {
  return value.simd(opcode, ValueType.v128, [Value.i32(count)]);
}
var packedOperations = {
  Paddb: direct(Simd.i8x16Add),
  Paddw: direct(Simd.i16x8Add),
  Paddd: direct(Simd.i32x4Add),
  Paddq: direct(Simd.i64x2Add),
  Paddsb: direct(Simd.i8x16AddSatS),
  Paddsw: direct(Simd.i16x8AddSatS),
  Paddusb: direct(Simd.i8x16AddSatU),
  Paddusw: direct(Simd.i16x8AddSatU),
  Psubb: direct(Simd.i8x16Sub),
  Psubw: direct(Simd.i16x8Sub),
  Psubd: direct(Simd.i32x4Sub),
  Psubq: direct(Simd.i64x2Sub),
  Psubsb: direct(Simd.i8x16SubSatS),
  Psubsw: direct(Simd.i16x8SubSatS),
  Psubusb: direct(Simd.i8x16SubSatU),
  Psubusw: direct(Simd.i16x8SubSatU),
  Pmullw: direct(Simd.i16x8Mul),
  Pmulhw: multiplyHigh(Simd.i32x4ExtmulLowS, Simd.i32x4ExtmulHighS),
  Pmulhuw: multiplyHigh(Simd.i32x4ExtmulLowU, Simd.i32x4ExtmulHighU),
  Pmaddwd: direct(Simd.i32x4Dot),
  Pmuludq: (f, a, b) => {
    const low2 = f.let(vector(0xffffffffn, 0xffffffffn));
    return simd(Simd.i64x2Mul, simd(Simd.and, a, low2), simd(Simd.and, b, low2));
  },
  Psadbw: sumOfDifferences,
  Pavgb: direct(Simd.i8x16AvgrU),
  Pavgw: direct(Simd.i16x8AvgrU),
  Pminub: direct(Simd.i8x16MinU),
  Pmaxub: direct(Simd.i8x16MaxU),
  Pminsw: direct(Simd.i16x8MinS),
  Pmaxsw: direct(Simd.i16x8MaxS),
  Pand: direct(Simd.and),
  Pandn: (_f, a, b) => simd(Simd.andNot, b, a),
  Por: direct(Simd.or),
  Pxor: direct(Simd.xor),
  Pcmpeqb: direct(Simd.i8x16Eq),
  Pcmpeqw: direct(Simd.i16x8Eq),
  Pcmpeqd: direct(Simd.i32x4Eq),
  Pcmpgtb: direct(Simd.i8x16GtS),
  Pcmpgtw: direct(Simd.i16x8GtS),
  Pcmpgtd: direct(Simd.i32x4GtS),
  Punpcklbw: unpackLow(1),
  Punpcklwd: unpackLow(2),
  Punpckldq: unpackLow(4),
  Punpckhbw: unpackHigh(1),
  Punpckhwd: unpackHigh(2),
  Punpckhdq: unpackHigh(4),
  Packsswb: pack(Simd.i8x16NarrowS),
  Packuswb: pack(Simd.i8x16NarrowU),
  Packssdw: pack(Simd.i16x8NarrowS),
  Pshufb: shuffleBytes,
  Phaddw: horizontal(Simd.i16x8Add, 2),
  Phaddd: horizontal(Simd.i32x4Add, 4),
  Phaddsw: horizontal(Simd.i16x8AddSatS, 2),
  Phsubw: horizontal(Simd.i16x8Sub, 2),
  Phsubd: horizontal(Simd.i32x4Sub, 4),
  Phsubsw: horizontal(Simd.i16x8SubSatS, 2),
  Pmaddubsw: multiplyAddBytes,
  Pmulhrsw: multiplyHighRounded,
  Psignb: sign(Simd.i8x16Neg, Simd.i8x16GtS, Simd.i8x16Eq),
  Psignw: sign(Simd.i16x8Neg, Simd.i16x8GtS, Simd.i16x8Eq),
  Psignd: sign(Simd.i32x4Neg, Simd.i32x4GtS, Simd.i32x4Eq),
  Pabsb: (_f, _a, b) => simd(Simd.i8x16Abs, b),
  Pabsw: (_f, _a, b) => simd(Simd.i16x8Abs, b),
  Pabsd: (_f, _a, b) => simd(Simd.i32x4Abs, b)
};
var quadwordOperations = {
  Punpcklqdq: unpackLow(8),
  Punpckhqdq: unpackHigh(8)
};
var shifts2 = {
  Psllw: [Simd.i16x8Shl, 16, false],
  Pslld: [Simd.i32x4Shl, 32, false],
  Psllq: [Simd.i64x2Shl, 64, false],
  Psrlw: [Simd.i16x8ShrU, 16, false],
  Psrld: [Simd.i32x4ShrU, 32, false],
  Psrlq: [Simd.i64x2ShrU, 64, false],
  Psraw: [Simd.i16x8ShrS, 16, true],
  Psrad: [Simd.i32x4ShrS, 32, true]
};
var shiftMnemonics = Object.keys(shifts2);
function shiftPacked(mnemonic, value, count) {
  const [opcode, laneBits, arithmetic2] = shifts2[mnemonic];
  const small = count.ltU(laneBits);
  if (arithmetic2) {
    const bounded = small.select(count.wrap(), Value.i32(laneBits - 1));
    return value.simd(opcode, ValueType.v128, [bounded]);
  }
  return small.select(value.simd(opcode, ValueType.v128, [count.wrap()]), zeroVector());
}

// emulator/isa/mmx/registers.ts
var { i64: i646 } = ValueType;
var TOP = 14336;
var ERROR_SUMMARY = 128;
var USE_MMX = 1;
function startMmx(o) {
  o.f.if(o.state32(State.x87Trap), () => o.helper("deviceNotAvailable", USE_MMX));
  o.f.if(o.state32(State.x87Status).and(ERROR_SUMMARY), () => o.helper("x87:pending"));
}
function finishMmx(o) {
  o.setState32(State.x87Status, o.state32(State.x87Status).and(~TOP));
  o.setState32(State.x87Tag, Value.i32(255));
}
function mmAddress(o, operand) {
  return o.registerNumber(operand).shl(4).add(State.x87);
}
function readMm(o, operand) {
  return o.f.load(i646, 8, o.registerNumber(operand).shl(4), State.x87);
}
function readMmSource(o, operand) {
  return o.f.let(o.inMemory(operand) ? o.f.load(i646, 8, o.readPlace(8).address) : readMm(o, operand));
}
function writeMm(o, operand, value) {
  const slot = o.f.let(o.registerNumber(operand).shl(4));
  o.f.store(8, slot, value, State.x87);
  o.f.store(2, slot, Value.i32(65535), State.x87 + 8);
}

// emulator/isa/mmx/index.ts
var { i32: i325, i64: i647, v128: v1282 } = ValueType;
var options = { cold: true };
function lowHalf(value) {
  return value.simd(Simd.i64x2ExtractLane, i647, [], [0]);
}
function twoOperands(operation) {
  return (o) => {
    startMmx(o);
    const source = o.inMemory(1) ? o.size(1) === 4 ? o.f.let(o.f.load(i647, 4, o.readPlace(4).address).simd(Simd.i64x2Splat, v1282)) : o.f.let(load64Zero(o.readPlace(8).address)) : o.f.let(load64Zero(mmAddress(o, 1)));
    const destination = o.f.let(load64Zero(mmAddress(o, 0)));
    finishMmx(o);
    writeMm(o, 0, lowHalf(operation(o.f, destination, source, 8)));
  };
}
function shift2(mnemonic, immediate) {
  return (o) => {
    startMmx(o);
    const count = immediate ? o.f.let(o.immediate(1).extendU()) : readMmSource(o, 1);
    finishMmx(o);
    writeMm(o, 0, lowHalf(shiftPacked(mnemonic, load64Zero(mmAddress(o, 0)), count)));
  };
}
function shuffleWords(o) {
  startMmx(o);
  const source = readMmSource(o, 1);
  const word = (lane) => source.shrU(
    o.immediate(1).shrU(lane * 2).and(3).shl(4).extendU()
  ).and(65535).shl(lane * 16);
  const result = o.f.let(word(0).or(word(1)).or(word(2)).or(word(3)));
  finishMmx(o);
  writeMm(o, 0, result);
}
function alignRight(o) {
  startMmx(o);
  const { f } = o;
  const source = readMmSource(o, 1);
  const destination = f.let(readMm(o, 0));
  const bits2 = f.let(o.immediate(1).shl(3).extendU());
  const within = bits2.eqz().select(source, source.shrU(bits2).or(destination.shl(Value.i64(64).sub(bits2))));
  const beyond = bits2.ltU(128).select(destination.shrU(bits2.sub(64)), Value.i64(0));
  const result = f.let(bits2.ltU(64).select(within, beyond));
  finishMmx(o);
  writeMm(o, 0, result);
}
function insertWord(o) {
  startMmx(o);
  const word = o.f.let(o.inMemory(1) ? o.f.load(i325, 2, o.readPlace(2).address) : o.read(1).toI32());
  const shiftCount = o.f.let(o.immediate(1).and(3).shl(4).extendU());
  const cleared = readMm(o, 0).and(Value.i64(65535).shl(shiftCount).not());
  const result = o.f.let(cleared.or(word.and(65535).extendU().shl(shiftCount)));
  finishMmx(o);
  writeMm(o, 0, result);
}
function extractWord(o) {
  startMmx(o);
  finishMmx(o);
  const word = readMm(o, 1).shrU(o.immediate(1).and(3).shl(4).extendU()).and(65535);
  o.write(0, o.size(0) === 8 ? word : word.wrap());
}
function maskedStore(o) {
  startMmx(o);
  const { f } = o;
  const signs = f.let(readMm(o, 2).and(Value.i64(0x8080808080808080n)));
  const mask2 = f.let(signs.or(signs.sub(signs.shrU(7))));
  const data = f.let(readMm(o, 1));
  const offset = o.gpr(Gpr.rdi, 8).and(Value.i64(-1).shrU(o.addressShift().extendU()));
  const place2 = o.placeAt("modify", 8, o.segment(), offset);
  const merged = f.load(i647, 8, place2.address).and(mask2.not()).or(data.and(mask2));
  f.store(8, place2.address, merged);
  place2.commit();
  finishMmx(o);
}
function store3(o) {
  startMmx(o);
  const value = o.f.let(readMm(o, 1));
  const place2 = o.writePlace(8);
  o.f.store(8, place2.address, value);
  place2.commit();
  finishMmx(o);
}
function defineMoves(table) {
  table.define(
    /^Movd_mm_rm32$|^Movq_mm_rm64$/,
    (o) => {
      startMmx(o);
      const value = o.f.let(o.read(1).toI64U());
      finishMmx(o);
      writeMm(o, 0, value);
    },
    options
  );
  table.define(
    /^Movd_rm32_mm$|^Movq_rm64_mm$/,
    (o) => {
      startMmx(o);
      o.write(0, o.size(0) === 8 ? readMm(o, 1) : readMm(o, 1).wrap());
      finishMmx(o);
    },
    options
  );
  table.define(
    /^Movq_mm_mmm64$/,
    (o) => {
      startMmx(o);
      const value = readMmSource(o, 1);
      finishMmx(o);
      writeMm(o, 0, value);
    },
    options
  );
  table.define(
    /^Movq_mmm64_mm$/,
    (o) => {
      if (o.inMemory(0)) {
        store3(o);
        return;
      }
      startMmx(o);
      finishMmx(o);
      writeMm(o, 0, readMm(o, 1));
    },
    options
  );
  table.define(/^Movntq_m64_mm$/, store3, options);
  table.define(/^Maskmovq_rDI_mm_mm$/, maskedStore, options);
  table.define(
    /^Movq2dq_xmm_mm$/,
    (o) => {
      startMmx(o);
      finishMmx(o);
      writeXmmLow(o, 0, readMm(o, 1));
    },
    { unit: "sse", cold: true }
  );
  table.define(
    /^Movdq2q_mm_xmm$/,
    (o) => {
      startMmx(o);
      finishMmx(o);
      writeMm(o, 0, readXmmPart(o, 1, 8));
    },
    { unit: "sse", cold: true }
  );
  table.define(
    /^Pmovmskb_r(32|64)_mm$/,
    (o) => {
      startMmx(o);
      finishMmx(o);
      const bits2 = load64Zero(mmAddress(o, 1)).simd(Simd.i8x16Bitmask, i325);
      o.write(0, o.size(0) === 8 ? bits2.extendU() : bits2);
    },
    options
  );
}
function defineMmx(table) {
  defineMoves(table);
  for (const [mnemonic, operation] of Object.entries(packedOperations))
    table.define(new RegExp(`^${mnemonic}_mm_mmm(32|64)$`), twoOperands(operation), options);
  for (const mnemonic of shiftMnemonics) {
    table.define(new RegExp(`^${mnemonic}_mm_imm8$`), shift2(mnemonic, true), options);
    table.define(new RegExp(`^${mnemonic}_mm_mmm64$`), shift2(mnemonic, false), options);
  }
  table.define(/^Pshufw_mm_mmm64_imm8$/, shuffleWords, options);
  table.define(/^Palignr_mm_mmm64_imm8$/, alignRight, options);
  table.define(/^Pinsrw_mm_r(32|64)m16_imm8$/, insertWord, options);
  table.define(/^Pextrw_r(32|64)_mm_imm8$/, extractWord, options);
  table.define(
    /^Emms$/,
    (o) => {
      startMmx(o);
      o.setState32(State.x87Tag, Value.i32(0));
    },
    options
  );
}

// emulator/isa/row.ts
import { Code as Code2 } from "iced-x86";
var FIXED = {
  AL: [0, 1],
  AX: [0, 2],
  EAX: [0, 4],
  RAX: [0, 8],
  CL: [1, 1],
  DX: [2, 2]
};
function parseOperand(token) {
  const fixed = FIXED[token];
  if (fixed) return { kind: "fixed", size: fixed[1], fixed: fixed[0] };
  if (token === "1") return { kind: "one", size: 1 };
  if (token === "Sreg") return { kind: "sreg", size: 2 };
  if (token === "cr" || token === "dr") return { kind: token, size: 8 };
  if (token === "xmm") return { kind: "xmm", size: 16 };
  if (token === "mm") return { kind: "mm", size: 8 };
  if (token === "sti" || token === "st0") return { kind: "st", size: 10 };
  if (token === "m" || token === "mem") return { kind: "mem", size: 0 };
  let match = /^(r|rm|imm|moffs|rel|ptr)(\d+)$/.exec(token);
  if (match) {
    const bits2 = Number(match[2]);
    const size = bits2 / 8;
    switch (match[1]) {
      case "r":
        return { kind: "gpr", size };
      case "rm":
        return { kind: "rm", size };
      case "imm":
        return { kind: "imm", size };
      case "moffs":
        return { kind: "moffs", size };
      case "rel":
        return { kind: "relative", size };
      default:
        return { kind: "pointer", size: bits2 === 1616 ? 2 : 4 };
    }
  }
  match = /^r(32|64)m(8|16|32)$/.exec(token);
  if (match) return { kind: "rm", size: Number(match[1]) / 8 };
  match = /^(xmm|mm)m(\d+)$/.exec(token);
  if (match) return { kind: match[1] === "xmm" ? "xmmm" : "mmm", size: Number(match[2]) / 8 };
  match = /^m(\d+)(fp|int|bcd|byte)?$/.exec(token);
  if (match) return { kind: "mem", size: match[2] === "byte" ? Number(match[1]) : Number(match[1]) / 8 };
  return void 0;
}
function parseOperands(name) {
  const found = [];
  const tokens = name.split("_").slice(1);
  const isBranch = tokens[0]?.startsWith("rel") ?? false;
  for (const token of tokens) {
    if (isBranch && found.length > 0) break;
    const operand = parseOperand(token);
    if (operand) found.push(operand);
  }
  return found;
}
var names = /* @__PURE__ */ new Map();
for (const [name, code] of Object.entries(Code2)) if (typeof code === "number") names.set(code, name);
function codesMatching(pattern) {
  const found = [];
  for (const [code, name] of names) if (pattern.test(name)) found.push({ code, name });
  return found;
}
var InstructionTable = class {
  rows = [];
  byCode = /* @__PURE__ */ new Map();
  /** Adds one row for every Code whose name matches; a Code that has a row already, or a pattern that matches none, is an error. */
  define(pattern, emit, options3 = {}) {
    const codes = codesMatching(pattern);
    if (codes.length === 0) throw new Error(`No Code matches ${pattern}`);
    for (const { code, name } of codes) {
      if (this.byCode.has(code)) throw new Error(`${name} has a row already (${pattern})`);
      const row = { code, name, operands: parseOperands(name), emit: (o) => emit(o, name), options: options3 };
      this.rows.push(row);
      this.byCode.set(code, row);
    }
  }
  get(code) {
    return this.byCode.get(code);
  }
};

// emulator/isa/sse/moves.ts
var { i32: i326, v128: v1283 } = ValueType;
var MXCSR_MASK2 = 65535;
var GENERAL_PROTECTION2 = 13;
var hot = { unit: "sse" };
var cold = { unit: "sse", cold: true };
function loadScalar(o, size) {
  const value = readScalar(o, 1, size);
  if (o.inMemory(1)) writeXmmLow(o, 0, value.toI64U());
  else writeXmmPart(o, 0, size, value);
}
function storeOrMoveScalar(o, size) {
  const value = readXmmPart(o, 1, size);
  if (o.inMemory(0)) storeScalar(o, size, value);
  else writeXmmPart(o, 0, size, value);
}
function rearrange(o, lanes) {
  const value = readVector(o, 1);
  writeXmm(o, 0, shuffle(value, value, lanes));
}
function maskedStore2(o) {
  const { f } = o;
  const data = f.let(readXmm(o, 1));
  const mask2 = f.let(readXmm(o, 2).simd(Simd.i8x16GtS, v1283, [Value.i32(-1).simd(Simd.i8x16Splat, v1283)]));
  const offset = o.gpr(Gpr.rdi, 8).and(Value.i64(-1).shrU(o.addressShift().extendU()));
  const place2 = o.placeAt("modify", 16, o.segment(), offset);
  const old = f.load(v1283, 16, place2.address);
  f.store(16, place2.address, simd(Simd.bitSelect, old, data, mask2));
  place2.commit();
}
function loadMxcsr(o) {
  const value = o.read(0);
  o.f.if(value.and(~MXCSR_MASK2), () => o.raise(GENERAL_PROTECTION2));
  o.setState32(State.mxcsr, value);
}
function defineMoves2(table) {
  table.define(/^Mov(ups|upd|dqu)_xmm_xmmm128$/, (o) => writeXmm(o, 0, readVector(o, 1, false)), hot);
  table.define(/^Mov(ups|upd|dqu)_xmmm128_xmm$/, (o) => writeVector(o, 0, readXmm(o, 1), false), hot);
  table.define(/^Mov(aps|apd|dqa)_xmm_xmmm128$/, (o) => writeXmm(o, 0, readVector(o, 1)), hot);
  table.define(/^Mov(aps|apd|dqa)_xmmm128_xmm$/, (o) => writeVector(o, 0, readXmm(o, 1)), hot);
  table.define(/^Lddqu_xmm_m128$/, (o) => writeXmm(o, 0, readVector(o, 1, false)), cold);
  table.define(/^Movnt(ps|pd|dq)_m128_xmm$/, (o) => writeVector(o, 0, readXmm(o, 1)), hot);
  table.define(/^Movss_xmm_xmmm32$/, (o) => loadScalar(o, 4), hot);
  table.define(/^Movsd_xmm_xmmm64$/, (o) => loadScalar(o, 8), hot);
  table.define(/^Movss_xmmm32_xmm$/, (o) => storeOrMoveScalar(o, 4), hot);
  table.define(/^Movsd_xmmm64_xmm$/, (o) => storeOrMoveScalar(o, 8), hot);
  table.define(/^Movlp[sd]_xmm_m64$/, (o) => writeXmmPart(o, 0, 8, readScalar(o, 1, 8)), hot);
  table.define(/^Movhp[sd]_xmm_m64$/, (o) => writeXmmPart(o, 0, 8, readScalar(o, 1, 8), 8), hot);
  table.define(/^Movlp[sd]_m64_xmm$/, (o) => storeScalar(o, 8, readXmmPart(o, 1, 8)), hot);
  table.define(/^Movhp[sd]_m64_xmm$/, (o) => storeScalar(o, 8, readXmmPart(o, 1, 8, 8)), hot);
  table.define(/^Movhlps_xmm_xmm$/, (o) => writeXmmPart(o, 0, 8, readXmmPart(o, 1, 8, 8)), cold);
  table.define(/^Movlhps_xmm_xmm$/, (o) => writeXmmPart(o, 0, 8, readXmmPart(o, 1, 8), 8), cold);
  table.define(
    /^Movsldup_xmm_xmmm128$/,
    (o) => rearrange(o, [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
    cold
  );
  table.define(
    /^Movshdup_xmm_xmmm128$/,
    (o) => rearrange(o, [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
    cold
  );
  table.define(/^Movddup_xmm_xmmm64$/, (o) => writeXmm(o, 0, readScalar(o, 1, 8).simd(Simd.i64x2Splat, v1283)), cold);
  table.define(/^Movd_xmm_rm32$|^Movq_xmm_rm64$/, (o) => writeXmmLow(o, 0, o.read(1).toI64U()), hot);
  table.define(/^Movd_rm32_xmm$/, (o) => o.write(0, readXmmPart(o, 1, 4)), hot);
  table.define(/^Movq_rm64_xmm$/, (o) => o.write(0, readXmmPart(o, 1, 8)), hot);
  table.define(/^Movq_xmm_xmmm64$/, (o) => writeXmmLow(o, 0, readScalar(o, 1, 8)), hot);
  table.define(
    /^Movq_xmmm64_xmm$/,
    (o) => {
      if (o.inMemory(0)) storeScalar(o, 8, readXmmPart(o, 1, 8));
      else writeXmmLow(o, 0, readXmmPart(o, 1, 8));
    },
    hot
  );
  const bitmask = (opcode) => (o) => {
    const bits2 = readXmm(o, 1).simd(opcode, i326);
    o.write(0, o.size(0) === 8 ? bits2.extendU() : bits2);
  };
  table.define(/^Movmskps_r(32|64)_xmm$/, bitmask(Simd.i32x4Bitmask), cold);
  table.define(/^Movmskpd_r(32|64)_xmm$/, bitmask(Simd.i64x2Bitmask), cold);
  table.define(/^Pmovmskb_r(32|64)_xmm$/, bitmask(Simd.i8x16Bitmask), hot);
  table.define(/^Maskmovdqu_rDI_xmm_xmm$/, maskedStore2, cold);
  table.define(/^Ldmxcsr_m32$/, loadMxcsr, cold);
  table.define(
    /^Stmxcsr_m32$/,
    (o) => {
      const place2 = o.writePlace(4);
      o.f.store(4, place2.address, o.state32(State.mxcsr));
      place2.commit();
    },
    cold
  );
}

// emulator/isa/sse/packed.ts
var { i32: i327, i64: i648, v128: v1284 } = ValueType;
var hot2 = { unit: "sse" };
var cold2 = { unit: "sse", cold: true };
var frequent = /^(Pxor|Por|Pand|Pandn|Pcmpeqb|Pcmpeqd|Pminub|Paddd|Paddq|Psubb|Punpckl(bw|wd|dq|qdq))$/;
function twoOperands2(operation) {
  return (o) => {
    const source = readVector(o, 1);
    const destination = o.f.let(readXmm(o, 0));
    writeXmm(o, 0, operation(o.f, destination, source, 16));
  };
}
function selected(o, position, laneBits = 2) {
  return o.immediate(1).shrU(position * 2).and(3).shl(laneBits);
}
function shuffleDoublewords(o) {
  const source = sourceAddress(o, 1);
  const lanes = [0, 1, 2, 3].map((lane) => o.f.let(o.f.load(i327, 4, source.add(selected(o, lane)))));
  writeLanes(o, lanes, 4, 0);
}
function shuffleWords2(o, half2) {
  const source = sourceAddress(o, 1);
  const other = o.f.let(o.f.load(i648, 8, source, 8 - half2));
  const lanes = [0, 1, 2, 3].map((lane) => o.f.let(o.f.load(i327, 2, source.add(selected(o, lane, 1)), half2)));
  writeLanes(o, lanes, 2, half2);
  writeXmmPart(o, 0, 8, other, 8 - half2);
}
function shuffleSingles(o) {
  const source = sourceAddress(o, 1);
  const destination = o.f.let(xmmAddress(o, 0));
  const lanes = [0, 1, 2, 3].map(
    (lane) => o.f.let(o.f.load(i327, 4, (lane < 2 ? destination : source).add(selected(o, lane))))
  );
  writeLanes(o, lanes, 4, 0);
}
function shuffleDoubles(o) {
  const source = sourceAddress(o, 1);
  const low2 = o.f.let(o.f.load(i648, 8, xmmAddress(o, 0).add(o.immediate(1).and(1).shl(3))));
  const high2 = o.f.let(o.f.load(i648, 8, source.add(o.immediate(1).and(2).shl(2))));
  writeXmmPart(o, 0, 8, low2);
  writeXmmPart(o, 0, 8, high2, 8);
}
function writeLanes(o, lanes, size, offset) {
  const destination = o.f.let(xmmAddress(o, 0));
  for (const [index2, lane] of lanes.entries()) o.f.store(size, destination, lane, offset + index2 * size);
}
function window(o, low2, high2, start) {
  const scratch = Value.i32(State.exchange);
  o.f.store(16, scratch, low2);
  o.f.store(16, scratch, high2, 16);
  return o.f.load(v1284, 16, scratch.add(start));
}
function byteCount(o) {
  const count = o.f.let(o.immediate(1));
  return count.ltU(16).select(count, Value.i32(16));
}
function alignRight2(o) {
  const source = readVector(o, 1);
  const destination = o.f.let(readXmm(o, 0));
  const count = o.f.let(o.immediate(1));
  o.f.if(
    count.leU(16),
    () => writeXmm(o, 0, window(o, source, destination, count)),
    () => {
      const beyond = count.sub(16);
      const start = count.ltU(32).select(beyond, Value.i32(16));
      writeXmm(o, 0, window(o, destination, zeroVector(), start));
    }
  );
}
function insertWord2(o) {
  const word = o.f.let(o.inMemory(1) ? o.f.load(i327, 2, o.readPlace(2).address) : o.read(1).toI32());
  o.f.store(2, xmmAddress(o, 0).add(o.immediate(1).and(7).shl(1)), word);
}
function extractWord2(o) {
  const word = o.f.load(i327, 2, xmmAddress(o, 1).add(o.immediate(1).and(7).shl(1)));
  o.write(0, o.size(0) === 8 ? word.extendU() : word);
}
function definePacked(table) {
  for (const [mnemonic, operation] of Object.entries({ ...packedOperations, ...quadwordOperations }))
    table.define(new RegExp(`^${mnemonic}_xmm_xmmm128$`), twoOperands2(operation), frequent.test(mnemonic) ? hot2 : cold2);
  for (const [mnemonic, opcode] of [
    ["And", Simd.and],
    ["Or", Simd.or],
    ["Xor", Simd.xor]
  ])
    table.define(
      new RegExp(`^${mnemonic}p[sd]_xmm_xmmm128$`),
      twoOperands2((_f, a, b) => simd(opcode, a, b)),
      hot2
    );
  table.define(
    /^Andnp[sd]_xmm_xmmm128$/,
    twoOperands2((_f, a, b) => simd(Simd.andNot, b, a)),
    hot2
  );
  table.define(/^Unpcklps_xmm_xmmm128$/, twoOperands2(packedOperations.Punpckldq), cold2);
  table.define(/^Unpckhps_xmm_xmmm128$/, twoOperands2(packedOperations.Punpckhdq), cold2);
  table.define(/^Unpcklpd_xmm_xmmm128$/, twoOperands2(quadwordOperations.Punpcklqdq), cold2);
  table.define(/^Unpckhpd_xmm_xmmm128$/, twoOperands2(quadwordOperations.Punpckhqdq), cold2);
  for (const mnemonic of shiftMnemonics) {
    table.define(
      new RegExp(`^${mnemonic}_xmm_imm8$`),
      (o) => writeXmm(o, 0, shiftPacked(mnemonic, readXmm(o, 0), o.f.let(o.immediate(1).extendU()))),
      cold2
    );
    table.define(
      new RegExp(`^${mnemonic}_xmm_xmmm128$`),
      (o) => {
        const count = o.f.let(o.f.load(i648, 8, sourceAddress(o, 1)));
        writeXmm(o, 0, shiftPacked(mnemonic, readXmm(o, 0), count));
      },
      cold2
    );
  }
  table.define(/^Psrldq_xmm_imm8$/, (o) => writeXmm(o, 0, window(o, readXmm(o, 0), zeroVector(), byteCount(o))), hot2);
  table.define(
    /^Pslldq_xmm_imm8$/,
    (o) => writeXmm(o, 0, window(o, zeroVector(), readXmm(o, 0), Value.i32(16).sub(byteCount(o)))),
    hot2
  );
  table.define(/^Palignr_xmm_xmmm128_imm8$/, alignRight2, cold2);
  table.define(/^Pshufd_xmm_xmmm128_imm8$/, shuffleDoublewords, hot2);
  table.define(/^Pshuflw_xmm_xmmm128_imm8$/, (o) => shuffleWords2(o, 0), cold2);
  table.define(/^Pshufhw_xmm_xmmm128_imm8$/, (o) => shuffleWords2(o, 8), cold2);
  table.define(/^Shufps_xmm_xmmm128_imm8$/, shuffleSingles, cold2);
  table.define(/^Shufpd_xmm_xmmm128_imm8$/, shuffleDoubles, cold2);
  table.define(/^Pinsrw_xmm_r(32|64)m16_imm8$/, insertWord2, cold2);
  table.define(/^Pextrw_r(32|64)_xmm_imm8$/, extractWord2, cold2);
}

// emulator/isa/sse/index.ts
function defineSse(table) {
  defineMoves2(table);
  definePacked(table);
}

// emulator/isa/x87/index.ts
var { i32: i328, i64: i649 } = ValueType;
var options2 = { unit: "x87", cold: true };
var ERROR_SUMMARY2 = 128;
function wait(o) {
  o.f.if(o.state32(State.x87Status).and(ERROR_SUMMARY2), () => o.helper("x87:pending"));
}
function helperRow(name, parameter = 0, size = 0) {
  return (o) => {
    wait(o);
    if (size !== 0) loadSource(o, size);
    o.helper(name, parameter);
  };
}
function loadSource(o, size) {
  const { f } = o;
  const place2 = o.readPlace(size);
  const scratch = Value.i32(State.exchange);
  if (size === 10) {
    const low2 = f.let(f.load(i649, 8, place2.address));
    const high2 = f.let(f.load(i328, 2, place2.address, 8));
    f.store(8, scratch, low2);
    f.store(2, scratch, high2, 8);
  } else f.store(size, scratch, f.load(size === 8 ? i649 : i328, size, place2.address));
}
function defineArithmetic2(table) {
  const form = (operation, kind) => operation | kind << 8;
  for (const [name, operation] of Object.entries(ArithmeticOperation)) {
    const define = (pattern, kind, size = 0) => table.define(new RegExp(`^${pattern}$`), helperRow("x87:arithmetic", form(operation, kind), size), options2);
    define(`F${name}_m32fp`, ArithmeticForm.single, 4);
    define(`F${name}_m64fp`, ArithmeticForm.double, 8);
    define(`Fi${name}_m16int`, ArithmeticForm.integer16, 2);
    define(`Fi${name}_m32int`, ArithmeticForm.integer32, 4);
    if (name === "com" || name === "comp") continue;
    define(`F${name}_st0_sti`, ArithmeticForm.toTop);
    define(`F${name}_sti_st0`, ArithmeticForm.toRegister);
    define(`F${name}p_sti_st0`, ArithmeticForm.toRegisterPop);
  }
}
function defineCompare(table) {
  const { quiet, pop, popTwice, toEflags, withZero } = CompareFlag;
  const define = (pattern, flags) => table.define(pattern, helperRow("x87:compare", flags), options2);
  define(/^Fcom_st0_sti(_DCD0)?$/, 0);
  define(/^Fcomp_st0_sti(_DCD8|_DED0)?$/, pop);
  define(/^Fcompp$/, popTwice);
  define(/^Fucom_st0_sti$/, quiet);
  define(/^Fucomp_st0_sti$/, quiet | pop);
  define(/^Fucompp$/, quiet | popTwice);
  define(/^Fcomi_st0_sti$/, toEflags);
  define(/^Fcomip_st0_sti$/, toEflags | pop);
  define(/^Fucomi_st0_sti$/, quiet | toEflags);
  define(/^Fucomip_st0_sti$/, quiet | toEflags | pop);
  define(/^Ftst$/, withZero);
}
function defineTransfer(table) {
  const load3 = (pattern, format, size) => table.define(pattern, helperRow("x87:load", format, size), options2);
  load3(/^Fld_m32fp$/, DataFormat.single, 4);
  load3(/^Fld_m64fp$/, DataFormat.double, 8);
  load3(/^Fld_m80fp$/, DataFormat.extended, 10);
  load3(/^Fild_m16int$/, DataFormat.integer16, 2);
  load3(/^Fild_m32int$/, DataFormat.integer32, 4);
  load3(/^Fild_m64int$/, DataFormat.integer64, 8);
  load3(/^Fbld_m80bcd$/, DataFormat.decimal, 10);
  load3(/^Fld_sti$/, DataFormat.register, 0);
  const store4 = (pattern, parameter) => table.define(pattern, helperRow("x87:store", parameter), options2);
  const { pop, truncate } = StoreFlag;
  store4(/^Fst_m32fp$/, DataFormat.single);
  store4(/^Fstp_m32fp$/, DataFormat.single | pop);
  store4(/^Fst_m64fp$/, DataFormat.double);
  store4(/^Fstp_m64fp$/, DataFormat.double | pop);
  store4(/^Fstp_m80fp$/, DataFormat.extended | pop);
  store4(/^Fist_m16int$/, DataFormat.integer16);
  store4(/^Fistp_m16int$/, DataFormat.integer16 | pop);
  store4(/^Fisttp_m16int$/, DataFormat.integer16 | pop | truncate);
  store4(/^Fist_m32int$/, DataFormat.integer32);
  store4(/^Fistp_m32int$/, DataFormat.integer32 | pop);
  store4(/^Fisttp_m32int$/, DataFormat.integer32 | pop | truncate);
  store4(/^Fistp_m64int$/, DataFormat.integer64 | pop);
  store4(/^Fisttp_m64int$/, DataFormat.integer64 | pop | truncate);
  store4(/^Fbstp_m80bcd$/, DataFormat.decimal | pop);
  store4(/^Fst_sti$/, DataFormat.register);
  store4(/^Fstp_sti(_DFD0|_DFD8)?$|^Fstpnce_sti$/, DataFormat.register | pop);
  for (const [index2, mnemonic] of constantMnemonics.entries())
    table.define(new RegExp(`^${mnemonic}$`), helperRow("x87:constant", index2), options2);
  table.define(/^Fxch_st0_sti(_DDC8|_DFC8)?$/, helperRow("x87:fxch"), options2);
  for (const [mnemonic, code] of [
    ["b", 2],
    ["e", 4],
    ["be", 6],
    ["u", 10],
    ["nb", 3],
    ["ne", 5],
    ["nbe", 7],
    ["nu", 11]
  ])
    table.define(
      new RegExp(`^Fcmov${mnemonic}_st0_sti$`),
      (o) => {
        wait(o);
        o.f.if(
          condition(o, code),
          () => o.helper("x87:fcmov", 1),
          () => o.helper("x87:fcmov", 0)
        );
      },
      options2
    );
}
function defineOther(table) {
  for (const mnemonic of [
    "fchs",
    "fabs",
    "fxam",
    "fsqrt",
    "frndint",
    "fscale",
    "fxtract",
    "fprem",
    "fprem1",
    "f2xm1",
    "fyl2x",
    "fyl2xp1",
    "fptan",
    "fpatan",
    "fsin",
    "fcos",
    "fsincos"
  ])
    table.define(new RegExp(`^${mnemonic}$`, "i"), helperRow(`x87:${mnemonic}`), options2);
  table.define(/^Fincstp$/, helperRow("x87:rotate", 1), options2);
  table.define(/^Fdecstp$/, helperRow("x87:rotate", -1), options2);
  table.define(/^Ffree_sti$/, helperRow("x87:ffree", 0), options2);
  table.define(/^Ffreep_sti$/, helperRow("x87:ffree", StoreFlag.pop), options2);
  table.define(/^Fnop$/, wait, options2);
}
function defineControl(table) {
  table.define(/^(Fneni|Fndisi|Fnsetpm|Frstpm)$/, () => {
  }, options2);
  table.define(
    /^Wait$/,
    (o) => {
      o.f.if(o.state32(State.cr0).and(10).eq(10), () => o.helper("deviceNotAvailable", 3));
      wait(o);
    },
    { cold: true }
  );
  table.define(
    /^Fninit$/,
    (o) => {
      o.setState32(State.x87Control, Value.i32(895));
      for (const word of [State.x87Status, State.x87Tag, State.x87Opcode]) o.setState32(word, Value.i32(0));
      o.setState64(State.x87InstructionPointer, Value.i64(0));
      o.setState64(State.x87DataPointer, Value.i64(0));
      o.setState64(State.x87InstructionSelector, Value.i64(0));
    },
    options2
  );
  table.define(/^Fnclex$/, (o) => o.setState32(State.x87Status, o.state32(State.x87Status).and(32512)), options2);
  table.define(
    /^Fnstsw_(AX|m2byte)$/,
    (o, name) => {
      if (name === "Fnstsw_AX") o.setGpr(0, 2, o.state32(State.x87Status));
      else storeWord(o, o.state32(State.x87Status));
    },
    options2
  );
  table.define(/^Fnstcw_m2byte$/, (o) => storeWord(o, o.state32(State.x87Control)), options2);
  table.define(/^Fldcw_m2byte$/, helperRow("x87:fldcw", 0, 2), options2);
  table.define(/^Fnstenv_m14byte$/, (o) => o.helper("x87:saveImage", 0), options2);
  table.define(/^Fnstenv_m28byte$/, (o) => o.helper("x87:saveImage", ImageFlag.wide), options2);
  table.define(/^Fnsave_m94byte$/, (o) => o.helper("x87:saveImage", ImageFlag.registers), options2);
  table.define(/^Fnsave_m108byte$/, (o) => o.helper("x87:saveImage", ImageFlag.registers | ImageFlag.wide), options2);
  table.define(/^Fldenv_m14byte$/, helperRow("x87:restoreImage", 0), options2);
  table.define(/^Fldenv_m28byte$/, helperRow("x87:restoreImage", ImageFlag.wide), options2);
  table.define(/^Frstor_m94byte$/, helperRow("x87:restoreImage", ImageFlag.registers), options2);
  table.define(/^Frstor_m108byte$/, helperRow("x87:restoreImage", ImageFlag.registers | ImageFlag.wide), options2);
  for (const [suffix, flag] of [
    ["", 0],
    ["64", ImageFlag.rexW]
  ]) {
    table.define(new RegExp(`^Fxsave${suffix}_m512byte$`), fastImage("x87:fxsave", flag), options2);
    table.define(new RegExp(`^Fxrstor${suffix}_m512byte$`), fastImage("x87:fxrstor", flag), options2);
  }
}
function fastImage(name, parameter) {
  return (o) => {
    requireAlignment(o);
    o.helper(name, parameter);
  };
}
function storeWord(o, value) {
  const place2 = o.writePlace(2);
  o.f.store(2, place2.address, value);
  place2.commit();
}
function defineX87(table) {
  defineArithmetic2(table);
  defineCompare(table);
  defineTransfer(table);
  defineOther(table);
  defineControl(table);
}

// emulator/engine/instruction-set.ts
var made;
function instructionSet() {
  if (made) return made;
  const table = new InstructionTable();
  defineInteger(table);
  defineX87(table);
  defineMmx(table);
  defineSse(table);
  const generated = generateInterpreter(table);
  const endsBlock = new Uint8Array(8192);
  for (const row of table.rows) if (row.options.endsBlock) endsBlock[row.code] = 1;
  made = {
    table,
    module: new WebAssembly.Module(generated.bytes),
    decodeTables: { handlers: generated.handlers, endsBlock },
    helperNames: generated.helperNames
  };
  return made;
}

// emulator/engine/execution-engine.ts
var SLICE = 2e5;
var STOLEN = 1073741824;
var ExecutionEngine = class {
  constructor(physical, tlb, hooks) {
    this.physical = physical;
    this.tlb = tlb;
    this.hooks = hooks;
    const set = instructionSet();
    this.code = new CodeCache(physical, tlb, new RecordDecoder(physical, set.decodeTables));
    const builtIn = builtInHelpers(physical);
    this.helpers = set.helperNames.map((name) => {
      const helper = hooks.helpers[name] ?? builtIn[name];
      if (!helper) throw new Error(`The processor has no helper "${name}"`);
      return helper;
    });
    const instance = new WebAssembly.Instance(set.module, {
      env: {
        memory: physical.memory,
        slowRead: (record, low2, high2, kind) => this.slowRead(record, low2, high2, kind),
        slowWrite: (record, low2, high2, kind) => this.slowWrite(record, low2, high2, kind),
        helper: (record, number, parameter) => this.callHelper(record, number, parameter),
        lookup: () => this.lookup(),
        link: (record) => this.link(record)
      }
    });
    this.run = instance.exports.run;
  }
  physical;
  tlb;
  hooks;
  code;
  run;
  helpers;
  /** Instructions retired before the current call into generated code. */
  retiredBefore = 0;
  granted = 0;
  running = false;
  currentRecord = 0;
  /** Linear addresses whose code is not x86 but TypeScript (exclusive end): see ExitReason.hostEntry. */
  hostEntryStart = 0n;
  hostEntryEnd = 0n;
  /** The breakpoint at State.rip is passed over by the next instruction. */
  skipBreakpoint = false;
  stolenFuel = 0;
  /** Address of a record's handler that stopAfterInstruction() has replaced; 0 = none. */
  patched = 0;
  patchedHandler = 0;
  /** Instructions retired since power-on, up to (not including) the current one. */
  get retired() {
    if (!this.running) return this.retiredBefore;
    const { i32: i329, u8 } = this.physical;
    const left = i329[State.fuel >> 2] + this.stolenFuel + (this.currentRecord ? u8[this.currentRecord + Record.remaining] : 0);
    return this.retiredBefore + this.granted - left;
  }
  /** Sets the count, after a reset or when a state is restored. */
  setRetired(count) {
    this.retiredBefore = count;
  }
  /** Makes `execute` return with ExitReason.hostEntry instead of fetching in this linear range at CPL 0. */
  setHostEntry(start, end) {
    this.hostEntryStart = start;
    this.hostEntryEnd = end;
    this.tlb.forgetJumps();
  }
  /**
   * Runs until `count` instructions have retired or something else wants attention, and says what. ExitReason.fuel means
   * that exactly `count` have retired.
   */
  execute(count) {
    const { i32: i329 } = this.physical;
    const end = this.retiredBefore + count;
    while (this.retiredBefore < end) {
      const left = end - this.retiredBefore;
      let start = 0;
      if (this.skipBreakpoint || left < 256) {
        start = this.exactBlock(left);
        if (start === 0) return i329[State.exitReason >> 2];
      }
      const reason = this.enter(start, Math.min(left, SLICE));
      if (reason !== ExitReason.fuel) return reason;
    }
    return ExitReason.fuel;
  }
  /** Retires one instruction, whatever breakpoint lies on it. */
  step() {
    this.skipBreakpoint = true;
    return this.execute(1);
  }
  /** The next execute() passes over a breakpoint at the instruction where the processor stands. */
  passBreakpoint() {
    this.skipBreakpoint = true;
  }
  enter(record, fuel) {
    const { i32: i329 } = this.physical;
    i329[State.exitReason >> 2] = ExitReason.none;
    i329[State.fuel >> 2] = fuel;
    this.granted = fuel;
    this.currentRecord = 0;
    this.running = true;
    let stopped = false;
    let reason;
    try {
      reason = this.run(record);
    } finally {
      this.currentRecord = 0;
      if (this.endStop()) stopped = true;
      this.retiredBefore += fuel - i329[State.fuel >> 2];
      this.running = false;
    }
    return stopped && reason === ExitReason.fuel ? ExitReason.attention : reason;
  }
  /** A block of at most `count` instructions at State.rip; 0 when there is something else to do first (exitReason). */
  exactBlock(count) {
    const { i32: i329 } = this.physical;
    i329[State.exitReason >> 2] = ExitReason.none;
    const skipped = this.skipBreakpoint;
    this.skipBreakpoint = false;
    const record = this.find(skipped);
    if (record === 0) return 0;
    const wanted = skipped ? 1 : count;
    if (!skipped && this.physical.u8[record + Record.remaining] <= count) return record;
    return this.code.exactly(record, wanted, this.foundPage);
  }
  foundPage = 0;
  /** The block at State.rip; delivers the faults of fetching. 0 when generated code has to be left: exitReason says why. */
  find(ignoreBreakpoints) {
    const { i32: i329, i64: i6410 } = this.physical;
    for (; ; ) {
      const rip = i6410[State.rip >> 3];
      const linear = rip + i6410[segmentSlot(Segment.cs) + SegmentSlot.effectiveBase >> 3];
      if (linear >= this.hostEntryStart && linear < this.hostEntryEnd && i329[State.cpl >> 2] === 0) {
        i329[State.exitReason >> 2] = ExitReason.hostEntry;
        return 0;
      }
      try {
        const address = this.hooks.fetchAddress(rip);
        const offset = address & 4095;
        this.foundPage = Math.floor(address / 4096);
        const mode = i329[State.codeSize >> 2];
        const nextPage = () => Math.floor(this.hooks.fetchAddress(rip + BigInt(4096 - offset)) / 4096);
        const record = this.code.block(address, mode, nextPage, ignoreBreakpoints);
        i6410[State.ripBase >> 3] = rip - BigInt(offset);
        return record;
      } catch (fault) {
        if (!(fault instanceof Fault)) throw fault;
        if (!this.deliver(fault)) return 0;
      }
    }
  }
  lookup() {
    this.currentRecord = 0;
    const record = this.find(false);
    if (record !== 0 && this.code.isLinkable(record)) {
      const { i32: i329, i64: i6410 } = this.physical;
      const linear = i6410[State.rip >> 3] + i6410[segmentSlot(Segment.cs) + SegmentSlot.effectiveBase >> 3];
      const low2 = Number(BigInt.asIntN(32, linear));
      const entry = JumpCache.base + ((low2 ^ low2 >>> 12) & JumpCache.entries - 1) * JumpCache.entrySize;
      i6410[entry + JumpCache.linear >> 3] = linear;
      i329[entry + JumpCache.context >> 2] = i329[State.jumpContext >> 2];
      i329[entry + JumpCache.record >> 2] = record;
    }
    return record;
  }
  /** The block at State.rip, remembered in the branch's record when both lie in one page. */
  link(branch) {
    const flushes = this.code.flushes;
    const { i32: i329, i64: i6410 } = this.physical;
    const base = i6410[State.ripBase >> 3];
    const record = this.lookup();
    if (record !== 0 && this.code.isLinkable(record) && this.code.flushes === flushes && i6410[State.ripBase >> 3] === base) {
      i329[branch + Record.link >> 2] = record;
    }
    return record;
  }
  callHelper(record, number, parameter) {
    const { i32: i329, u8 } = this.physical;
    this.beginHelper(record);
    try {
      const outcome = this.helpers[number](record, parameter);
      if (outcome === Outcome.next) return 0;
      i329[State.fuel >> 2] += u8[record + Record.remaining] - 1;
      if (outcome === Outcome.exit) i329[State.exitReason >> 2] = ExitReason.attention;
      return 1;
    } catch (fault) {
      return this.faulted(record, fault);
    } finally {
      this.currentRecord = 0;
    }
  }
  beginHelper(record) {
    const { i64: i6410, view } = this.physical;
    this.currentRecord = record;
    i6410[State.rip >> 3] = i6410[State.ripBase >> 3] + BigInt(view.getUint16(record + Record.offset, true));
  }
  slowRead(record, low2, high2, kind) {
    this.beginHelper(record);
    try {
      this.hooks.slowRead(record, low2, high2, kind);
      return 0;
    } catch (fault) {
      return this.faulted(record, fault);
    } finally {
      this.currentRecord = 0;
    }
  }
  slowWrite(record, low2, high2, kind) {
    this.beginHelper(record);
    try {
      this.hooks.slowWrite(record, low2, high2, kind);
      return 0;
    } catch (fault) {
      return this.faulted(record, fault);
    } finally {
      this.currentRecord = 0;
    }
  }
  faulted(record, fault) {
    if (!(fault instanceof Fault)) throw fault;
    this.physical.i32[State.fuel >> 2] += this.physical.u8[record + Record.remaining];
    this.currentRecord = 0;
    this.deliver(fault);
    return 1;
  }
  deliver(fault) {
    if (this.hooks.deliver(fault)) return true;
    this.physical.i32[State.exitReason >> 2] = ExitReason.shutdown;
    return false;
  }
  /**
   * Makes execute() return with ExitReason.attention after the current instruction. For memory accesses and port writes that
   * a watchpoint or a device answers; a helper of its own returns Outcome.exit instead.
   */
  stopAfterInstruction() {
    const { i32: i329, u8, view } = this.physical;
    const record = this.currentRecord;
    if (!this.running || record === 0 || this.stolenFuel !== 0) return;
    this.stolenFuel = STOLEN;
    i329[State.fuel >> 2] -= STOLEN;
    if (u8[record + Record.remaining] > 1) {
      this.patched = record + Record.size + Record.handler;
      this.patchedHandler = view.getUint16(this.patched, true);
      view.setUint16(this.patched, PseudoHandler.end, true);
    }
  }
  /** Takes back what stopAfterInstruction() did; true when it was called. */
  endStop() {
    if (this.stolenFuel === 0) return false;
    this.physical.i32[State.fuel >> 2] += this.stolenFuel;
    this.stolenFuel = 0;
    if (this.patched !== 0) {
      if (this.physical.view.getUint16(this.patched, true) === PseudoHandler.end) {
        this.physical.view.setUint16(this.patched, this.patchedHandler, true);
      }
      this.patched = 0;
    }
    return true;
  }
};

// emulator/engine/translation-lookaside-buffer.ts
var NO_TAG = -1n;
var GENERATIONS = (1 << 11) - 1;
var TranslationLookasideBuffer = class {
  constructor(physical) {
    this.physical = physical;
    this.clear();
  }
  physical;
  generation = 1;
  fills = 0;
  flushes = 0;
  clear() {
    this.physical.i64.fill(NO_TAG, Tlb.base / 8, (Tlb.base + Tlb.entries * Tlb.entrySize) / 8);
    this.clearJumpCache();
  }
  clearJumpCache() {
    this.physical.i32.fill(0, JumpCache.base / 4, (JumpCache.base + JumpCache.entries * JumpCache.entrySize) / 4);
  }
  /** Sets the context words after CPL, code size or the generation has changed. */
  updateContext() {
    const { i32: i329, i64: i6410 } = this.physical;
    const user = i329[State.cpl / 4] === 3 ? 1 : 0;
    i6410[State.tlbContext / 8] = BigInt(this.generation << 1 | user);
    i329[State.jumpContext / 4] = this.generation << 4 | i329[State.codeSize / 4] << 1 | user;
  }
  /** Forgets every translation (MOV to CR3, CR0, CR4, ...; SDM Vol. 3A §4.10.4). */
  flush() {
    this.flushes++;
    if (++this.generation === GENERATIONS) {
      this.generation = 1;
      this.clear();
    }
    this.updateContext();
  }
  /** Forgets the translations of one linear page (low and high half of the address as i32). The jump cache, keyed by linear address, goes with it. */
  flushPage(linearLow, _linearHigh) {
    const entry = Tlb.base + (linearLow >>> 12 & Tlb.entries - 1) * Tlb.entrySize;
    this.physical.i64[entry / 8] = NO_TAG;
    this.physical.i64[entry / 8 + 1] = NO_TAG;
    this.clearJumpCache();
  }
  /** Forgets what the jump cache knows, for instance after a change of breakpoints. */
  forgetJumps() {
    this.clearJumpCache();
  }
  /**
   * Enters a translation for the current context. `write` must be false unless the page-table entries are dirty already.
   * Pages that are not RAM or ROM are never entered; the write tag is withheld for ROM and for pages that hold decoded code.
   */
  fill(linearLow, linearHigh, physicalPage, write) {
    const kind = this.physical.kindOf(physicalPage);
    if (kind !== PageKind.ram && kind !== PageKind.rom) return;
    this.fills++;
    const { i32: i329 } = this.physical;
    const entry = Tlb.base + (linearLow >>> 12 & Tlb.entries - 1) * Tlb.entrySize >> 2;
    const tagLow = linearLow & ~4095 | i329[State.tlbContext / 4];
    i329[entry] = tagLow;
    i329[entry + 1] = linearHigh;
    const mayWrite = write && kind === PageKind.ram && this.physical.hasCode[physicalPage] === 0;
    i329[entry + 2] = mayWrite ? tagLow : -1;
    i329[entry + 3] = mayWrite ? linearHigh : -1;
    i329[entry + 6] = RAM_BASE + physicalPage * 4096 - (linearLow & ~4095) | 0;
    i329[entry + 7] = physicalPage;
  }
  /** Takes the write permission of the fast path from every entry of a physical page (it has code now, or is watched). */
  withholdWrites(physicalPage) {
    const { i32: i329 } = this.physical;
    for (let entry = Tlb.base / 4; entry < (Tlb.base + Tlb.entries * Tlb.entrySize) / 4; entry += Tlb.entrySize / 4) {
      if (i329[entry + 7] === physicalPage) {
        i329[entry + 2] = -1;
        i329[entry + 3] = -1;
      }
    }
  }
};

// emulator/devices/register-format.ts
function hex(value, bits2) {
  return `0x${value.toString(16).padStart(Math.ceil(bits2 / 4), "0")}`;
}
function allOnes(size) {
  return size === 4 ? 4294967295 : size === 2 ? 65535 : 255;
}
function bits(value, names2) {
  return names2.filter((name, bit2) => name !== "" && value >>> bit2 & 1).join(" ");
}

// emulator/devices/tick-rate.ts
var nanosecondsPerSecond = 1e9;
function greatestCommonDivisor(a, b) {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
var TickRate = class {
  /** @throws RangeError when `hertz` is not a positive integer or too uneven for exact arithmetic (above about 9 MHz, multiples of 1 kHz are safe). */
  constructor(hertz) {
    this.hertz = hertz;
    const divisor = greatestCommonDivisor(hertz, nanosecondsPerSecond);
    this.numerator = hertz / divisor;
    this.denominator = nanosecondsPerSecond / divisor;
    if (!Number.isInteger(hertz) || hertz <= 0 || this.numerator * this.denominator > Number.MAX_SAFE_INTEGER)
      throw new RangeError(`An oscillator of ${hertz} Hz has no exact tick count: give another frequency.`);
  }
  hertz;
  numerator;
  denominator;
  /** Ticks that have passed at `time` (nanoseconds): floor(time * hertz / 10^9). */
  ticksAt(time) {
    const rest = time % this.denominator;
    const product = rest * this.numerator;
    return (time - rest) / this.denominator * this.numerator + (product - product % this.denominator) / this.denominator;
  }
  /** The first nanosecond at which `ticksAt` gives `tick`. */
  timeOfTick(tick) {
    const rest = tick % this.numerator;
    const product = rest * this.denominator;
    const remainder2 = product % this.numerator;
    const whole = (product - remainder2) / this.numerator;
    return (tick - rest) / this.numerator * this.denominator + whole + (remainder2 > 0 ? 1 : 0);
  }
};

// emulator/devices/acpi-power.ts
var PM1_STATUS = 0;
var PM1_ENABLE = 2;
var PM1_CONTROL = 4;
var PM_TIMER = 8;
var PM_TIMER_HERTZ = 3579545;
var ACPI_POWER_PORT = 1536;
var ACPI_POWER_LENGTH = 12;
var STATUS_TIMER = 1;
var STATUS_POWER_BUTTON = 256;
var STATUS_ALL = 34081;
var ENABLE_ALL = 1313;
var CONTROL_SCI_ENABLE = 1;
var CONTROL_SLEEP_ENABLE = 8192;
var SLEEP_TYPE_S5 = 0;
var TIMER_MASK = 16777215;
var HALF_WRAP = 8388608;
function powerOn() {
  return { status: 0, enable: 0, control: 0, timerSeen: 0 };
}
var AcpiPower = class {
  /**
   * @param onPowerOff the guest entered S5.
   * @param onSleep it asked for another sleep type, which this machine does not have.
   */
  constructor(clock, sci, onPowerOff, onSleep = () => {
  }) {
    this.clock = clock;
    this.sci = sci;
    this.onPowerOff = onPowerOff;
    this.onSleep = onSleep;
  }
  clock;
  sci;
  onPowerOff;
  onSleep;
  name = "PIIX4 power management";
  rate = new TickRate(PM_TIMER_HERTZ);
  state = powerOn();
  alarm;
  /** The user presses the power button. */
  pressPowerButton() {
    this.state.status |= STATUS_POWER_BUTTON;
    this.update();
  }
  read(offset, size) {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.byte(offset + i);
    return value;
  }
  write(offset, size, value) {
    for (let i = 0; i < size; i++) this.writeByte(offset + i, value >>> 8 * i & 255);
    this.update();
    if (offset <= PM1_CONTROL + 1 && offset + size > PM1_CONTROL + 1) this.sleep();
  }
  reset() {
    this.state = { ...powerOn(), timerSeen: this.halfWraps() };
    this.update();
  }
  save() {
    return { ...this.state };
  }
  restore(state) {
    this.state = { ...state };
    this.update();
  }
  registers() {
    const events = ["timer", "", "", "", "", "global", "", "", "power button", "", "RTC", "", "", "", "", "wake"];
    const { enable, control } = this.state;
    return [
      { name: "PM1_STS", width: 16, value: this.status(), meaning: bits(this.status(), events) },
      { name: "PM1_EN", width: 16, value: enable, meaning: bits(enable, events) },
      { name: "PM1_CNT", width: 16, value: control, meaning: bits(control, ["ACPI mode"]) },
      { name: "PM_TMR", width: 24, value: this.timer() }
    ];
  }
  timer() {
    return this.rate.ticksAt(this.clock.now()) % (TIMER_MASK + 1);
  }
  halfWraps() {
    return Math.floor(this.rate.ticksAt(this.clock.now()) / HALF_WRAP);
  }
  status() {
    return this.state.status | (this.halfWraps() !== this.state.timerSeen ? STATUS_TIMER : 0);
  }
  byte(offset) {
    const half2 = (value) => value >>> 8 * (offset & 1) & 255;
    if (offset < PM1_ENABLE) return half2(this.status());
    if (offset < PM1_CONTROL) return half2(this.state.enable);
    if (offset < PM1_CONTROL + 2) return half2(this.state.control);
    return offset >= PM_TIMER ? this.timer() >>> 8 * (offset & 3) & 255 : 0;
  }
  writeByte(offset, value) {
    const { state } = this;
    const shift3 = 8 * (offset & 1);
    const merge = (old) => old & 65280 >> shift3 | value << shift3;
    if (offset < PM1_STATUS + 2) {
      const cleared = value << shift3 & STATUS_ALL;
      state.status &= ~cleared;
      if (cleared & STATUS_TIMER) state.timerSeen = this.halfWraps();
    } else if (offset < PM1_ENABLE + 2) state.enable = merge(state.enable) & ENABLE_ALL;
    else if (offset < PM1_CONTROL + 2) state.control = merge(state.control);
  }
  sleep() {
    const { state } = this;
    const wanted = (state.control & CONTROL_SLEEP_ENABLE) !== 0;
    state.control &= ~CONTROL_SLEEP_ENABLE;
    if (!wanted) return;
    const type = state.control >> 10 & 7;
    if (type === SLEEP_TYPE_S5) this.onPowerOff();
    else this.onSleep(type);
  }
  update() {
    this.alarm?.cancel();
    this.alarm = void 0;
    const { enable, control } = this.state;
    this.sci.set((control & CONTROL_SCI_ENABLE) !== 0 && (this.status() & enable) !== 0);
    if (!(enable & STATUS_TIMER) || this.status() & STATUS_TIMER) return;
    const next = this.rate.timeOfTick((this.halfWraps() + 1) * HALF_WRAP);
    this.alarm = this.clock.at(next, () => this.update());
  }
};

// emulator/devices/apic-bus.ts
var DeliveryMode = {
  fixed: 0,
  lowestPriority: 1,
  systemManagement: 2,
  nonMaskable: 4,
  init: 5,
  startUp: 6,
  externalInterrupt: 7
};
var ApicBus = class {
  targets = [];
  listeners = [];
  addTarget(target) {
    this.targets.push(target);
  }
  addListener(listener) {
    this.listeners.push(listener);
  }
  /** Delivers to the addressed local APICs; false when there is none. */
  deliver(message) {
    const matching = this.targets.filter((target) => target.matches(message));
    if (matching.length === 0) return false;
    if (message.deliveryMode === DeliveryMode.lowestPriority) {
      const lowest = matching.reduce((a, b) => b.processorPriority < a.processorPriority ? b : a);
      lowest.accept(message);
    } else for (const target of matching) target.accept(message);
    return true;
  }
  /** An IPI with the shorthand "all" (`sender` undefined) or "all but the sender". */
  broadcast(message, sender) {
    for (const target of this.targets) if (target !== sender) target.accept(message);
  }
  /** A local APIC broadcasts the end of a level-triggered interrupt. */
  endOfInterrupt(vector2) {
    for (const listener of this.listeners) listener.endOfInterrupt(vector2);
  }
};

// emulator/devices/debug-console.ts
var PRESENT2 = 233;
var DebugConsole = class {
  constructor(transmit) {
    this.transmit = transmit;
  }
  transmit;
  name = "Debug console";
  widestAccess = 1;
  state = { written: 0 };
  read() {
    return PRESENT2;
  }
  write(_offset, _size, value) {
    this.state.written++;
    this.transmit(value & 255);
  }
  reset() {
    this.state = { written: 0 };
  }
  save() {
    return { ...this.state };
  }
  restore(state) {
    this.state = { ...state };
  }
  registers() {
    return [{ name: "written", width: 32, value: this.state.written, meaning: "bytes sent" }];
  }
};

// emulator/devices/debug-exit.ts
var DebugExit = class {
  constructor(onExit) {
    this.onExit = onExit;
  }
  onExit;
  name = "Debug exit";
  state = { value: null };
  read() {
    return 0;
  }
  write(_offset, _size, value) {
    this.state.value = value;
    this.onExit(value);
  }
  reset() {
    this.state = { value: null };
  }
  save() {
    return { ...this.state };
  }
  restore(state) {
    this.state = { ...state };
  }
  registers() {
    const { value } = this.state;
    return [
      { name: "value", width: 32, value: value ?? 0, meaning: value === null ? "not written" : "written by the guest" }
    ];
  }
};

// emulator/devices/dma8237.ts
var STATUS_COMMAND = 8;
var REQUEST = 9;
var SINGLE_MASK = 10;
var MODE = 11;
var CLEAR_FLIP_FLOP = 12;
var TEMPORARY_MASTER_CLEAR = 13;
var CLEAR_MASK = 14;
var ALL_MASK = 15;
function controllerAtReset(words2 = new Array(8).fill(0)) {
  return { words: words2, command: 0, request: 0, mask: 15, mode: [0, 0, 0, 0], high: false };
}
function powerOn2() {
  return { controllers: [controllerAtReset(), controllerAtReset()], pages: new Array(16).fill(0) };
}
var Dma8237 = class {
  name = "8237A pair";
  first = this.block(0, 0);
  second = this.block(1, 1);
  pages = {
    widestAccess: 1,
    read: (offset) => this.state.pages[offset + 1 & 15],
    write: (offset, _size, value) => {
      this.state.pages[offset + 1 & 15] = value & 255;
    }
  };
  state = powerOn2();
  reset() {
    this.state = powerOn2();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
  }
  registers() {
    return this.state.controllers.flatMap((controller, i) => {
      const channels = [0, 1, 2, 3].flatMap((n) => [
        { name: `channel ${4 * i + n} address`, width: 16, value: controller.words[2 * n] },
        { name: `channel ${4 * i + n} count`, width: 16, value: controller.words[2 * n + 1] },
        { name: `channel ${4 * i + n} mode`, width: 8, value: controller.mode[n] }
      ]);
      return [
        ...channels,
        { name: `controller ${i + 1} command`, width: 8, value: controller.command },
        { name: `controller ${i + 1} mask`, width: 4, value: controller.mask }
      ];
    });
  }
  block(which, shift3) {
    return {
      widestAccess: 1,
      read: (offset) => this.readRegister(which, offset >> shift3 & 15),
      write: (offset, _size, value) => this.writeRegister(which, offset >> shift3 & 15, value & 255)
    };
  }
  readRegister(which, register) {
    const controller = this.state.controllers[which];
    if (register < 8) {
      const word = controller.words[register];
      controller.high = !controller.high;
      return controller.high ? word & 255 : word >> 8;
    }
    if (register === STATUS_COMMAND) return (controller.request & 15) << 4;
    return register === ALL_MASK ? controller.mask : 0;
  }
  writeRegister(which, register, value) {
    const controller = this.state.controllers[which];
    const bit2 = 1 << (value & 3);
    switch (register) {
      case STATUS_COMMAND:
        controller.command = value;
        break;
      case REQUEST:
        controller.request = value & 4 ? controller.request | bit2 : controller.request & ~bit2;
        break;
      case SINGLE_MASK:
        controller.mask = value & 4 ? controller.mask | bit2 : controller.mask & ~bit2;
        break;
      case MODE:
        controller.mode[value & 3] = value & 252;
        break;
      case CLEAR_FLIP_FLOP:
        controller.high = false;
        break;
      case TEMPORARY_MASTER_CLEAR:
        this.state.controllers[which] = { ...controllerAtReset(controller.words), mode: controller.mode };
        break;
      case CLEAR_MASK:
        controller.mask = 0;
        break;
      case ALL_MASK:
        controller.mask = value & 15;
        break;
      default: {
        const word = controller.words[register];
        controller.words[register] = controller.high ? word & 255 | value << 8 : word & 65280 | value;
        controller.high = !controller.high;
      }
    }
  }
};

// emulator/devices/fast-a20.ts
var FAST_INIT = 1;
var FAST_A20 = 2;
var FastA20 = class {
  /**
   * @param onA20 the level of this source of the A20 gate; called when it changes.
   * @param onReset bit 0 has risen.
   */
  constructor(onA20, onReset) {
    this.onA20 = onA20;
    this.onReset = onReset;
  }
  onA20;
  onReset;
  name = "Port 92";
  widestAccess = 1;
  state = { value: FAST_A20 };
  /** The keyboard controller, the other source of the gate, has set A20: the bit follows. */
  followA20(enabled) {
    this.state.value = enabled ? this.state.value | FAST_A20 : this.state.value & ~FAST_A20;
  }
  read() {
    return this.state.value;
  }
  write(_offset, _size, value) {
    const changed = this.state.value ^ value;
    this.state.value = value & (FAST_INIT | FAST_A20);
    if (changed & FAST_A20) this.onA20((value & FAST_A20) !== 0);
    if (changed & value & FAST_INIT) this.onReset();
  }
  reset() {
    this.state = { value: FAST_A20 };
    this.onA20(true);
  }
  save() {
    return { ...this.state };
  }
  restore(state) {
    this.state = { ...state };
    this.onA20((this.state.value & FAST_A20) !== 0);
  }
  registers() {
    const { value } = this.state;
    return [{ name: "P92", width: 8, value, meaning: bits(value, ["reset", "A20"]) }];
  }
};

// emulator/devices/fw-cfg.ts
var SELECTOR = 0;
var DATA2 = 1;
var SIGNATURE = 0;
var INTERFACE_VERSION = 1;
var RAM_SIZE = 3;
var CPU_COUNT = 5;
var BOOT_MENU = 14;
var MAXIMUM_CPUS = 15;
var FILE_DIRECTORY = 25;
var FILE_FIRST = 32;
var TRADITIONAL_INTERFACE = 1;
var FILE_ENTRY_SIZE = 64;
var FILE_NAME_SIZE = 56;
function littleEndian3(value, size) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = Math.floor(value / 2 ** (8 * i)) % 256;
  return bytes;
}
function ascii(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
var FwCfg = class {
  name = "fw_cfg";
  widestAccess = 2;
  items = /* @__PURE__ */ new Map();
  names = /* @__PURE__ */ new Map();
  state = { key: 0, position: 0 };
  /** @throws RangeError for a file name longer than 55 characters. */
  constructor(configuration) {
    const item = (key, name, bytes) => {
      this.items.set(key, bytes);
      this.names.set(key, name);
    };
    item(SIGNATURE, "signature", ascii("QEMU"));
    item(INTERFACE_VERSION, "interface version", littleEndian3(TRADITIONAL_INTERFACE, 4));
    item(RAM_SIZE, "memory size", littleEndian3(configuration.memoryBytes, 8));
    item(CPU_COUNT, "CPU count", littleEndian3(configuration.cpuCount, 2));
    item(BOOT_MENU, "boot menu", littleEndian3(0, 2));
    item(MAXIMUM_CPUS, "maximum CPUs", littleEndian3(configuration.cpuCount, 2));
    const map = new Uint8Array(configuration.memoryMap.length * 20);
    configuration.memoryMap.forEach((range, i) => {
      map.set(littleEndian3(range.base, 8), 20 * i);
      map.set(littleEndian3(range.length, 8), 20 * i + 8);
      map.set(littleEndian3(range.type, 4), 20 * i + 16);
    });
    const files = Object.entries({ "etc/e820": map, ...configuration.files }).sort(([a], [b]) => a < b ? -1 : 1);
    const directory = new Uint8Array(4 + files.length * FILE_ENTRY_SIZE);
    const view = new DataView(directory.buffer);
    view.setUint32(0, files.length);
    files.forEach(([name, bytes], i) => {
      if (name.length >= FILE_NAME_SIZE)
        throw new RangeError(`fw_cfg: the file name "${name}" is longer than 55 characters.`);
      const entry = 4 + i * FILE_ENTRY_SIZE;
      view.setUint32(entry, bytes.length);
      view.setUint16(entry + 4, FILE_FIRST + i);
      directory.set(ascii(name), entry + 8);
      item(FILE_FIRST + i, name, bytes);
    });
    item(FILE_DIRECTORY, "file directory", directory);
  }
  /** Reads past the end of an item, and of items that are not there, give 0. */
  read(offset, size) {
    if (offset !== DATA2 || size !== 1) return 0;
    const bytes = this.items.get(this.state.key);
    return bytes && this.state.position < bytes.length ? bytes[this.state.position++] : 0;
  }
  /** Only the selector can be written, as 16 bits; bit 14 (write mode) and the architecture bit 15 are parts of the key. */
  write(offset, size, value) {
    if (offset === SELECTOR && size === 2) this.state = { key: value & 65535, position: 0 };
  }
  reset() {
    this.state = { key: 0, position: 0 };
  }
  save() {
    return { ...this.state };
  }
  restore(state) {
    this.state = { ...state };
  }
  registers() {
    const { key, position } = this.state;
    return [
      { name: "selector", width: 16, value: key, meaning: this.names.get(key) ?? "no such item" },
      { name: "position", width: 32, value: position }
    ];
  }
};

// emulator/devices/scan-codes.ts
var translation = [
  255,
  67,
  65,
  63,
  61,
  59,
  60,
  88,
  100,
  68,
  66,
  64,
  62,
  15,
  41,
  89,
  101,
  56,
  42,
  112,
  29,
  16,
  2,
  90,
  102,
  113,
  44,
  31,
  30,
  17,
  3,
  91,
  103,
  46,
  45,
  32,
  18,
  5,
  4,
  92,
  104,
  57,
  47,
  33,
  20,
  19,
  6,
  93,
  105,
  49,
  48,
  35,
  34,
  21,
  7,
  94,
  106,
  114,
  50,
  36,
  22,
  8,
  9,
  95,
  107,
  51,
  37,
  23,
  24,
  11,
  10,
  96,
  108,
  52,
  53,
  38,
  39,
  25,
  12,
  97,
  109,
  115,
  40,
  116,
  26,
  13,
  98,
  110,
  58,
  54,
  28,
  27,
  117,
  43,
  99,
  118,
  85,
  86,
  119,
  120,
  121,
  122,
  14,
  123,
  124,
  79,
  125,
  75,
  71,
  126,
  127,
  111,
  82,
  83,
  80,
  76,
  77,
  72,
  1,
  69,
  87,
  78,
  81,
  74,
  55,
  73,
  70,
  84
];
function translateByte(byte) {
  if (byte === 131) return 65;
  if (byte === 132) return 84;
  return translation[byte] ?? byte;
}
var makeCodes = {
  Escape: 118,
  F1: 5,
  F2: 6,
  F3: 4,
  F4: 12,
  F5: 3,
  F6: 11,
  F7: 131,
  F8: 10,
  F9: 1,
  F10: 9,
  F11: 120,
  F12: 7,
  Backquote: 14,
  Digit1: 22,
  Digit2: 30,
  Digit3: 38,
  Digit4: 37,
  Digit5: 46,
  Digit6: 54,
  Digit7: 61,
  Digit8: 62,
  Digit9: 70,
  Digit0: 69,
  Minus: 78,
  Equal: 85,
  Backspace: 102,
  Tab: 13,
  KeyQ: 21,
  KeyW: 29,
  KeyE: 36,
  KeyR: 45,
  KeyT: 44,
  KeyY: 53,
  KeyU: 60,
  KeyI: 67,
  KeyO: 68,
  KeyP: 77,
  BracketLeft: 84,
  BracketRight: 91,
  Backslash: 93,
  CapsLock: 88,
  KeyA: 28,
  KeyS: 27,
  KeyD: 35,
  KeyF: 43,
  KeyG: 52,
  KeyH: 51,
  KeyJ: 59,
  KeyK: 66,
  KeyL: 75,
  Semicolon: 76,
  Quote: 82,
  Enter: 90,
  ShiftLeft: 18,
  KeyZ: 26,
  KeyX: 34,
  KeyC: 33,
  KeyV: 42,
  KeyB: 50,
  KeyN: 49,
  KeyM: 58,
  Comma: 65,
  Period: 73,
  Slash: 74,
  ShiftRight: 89,
  ControlLeft: 20,
  AltLeft: 17,
  Space: 41,
  AltRight: 57361,
  ControlRight: 57364,
  MetaLeft: 57375,
  MetaRight: 57383,
  ContextMenu: 57391,
  ScrollLock: 126,
  NumLock: 119,
  Insert: 57456,
  Home: 57452,
  PageUp: 57469,
  Delete: 57457,
  End: 57449,
  PageDown: 57466,
  ArrowUp: 57461,
  ArrowLeft: 57451,
  ArrowDown: 57458,
  ArrowRight: 57460,
  NumpadDivide: 57418,
  NumpadMultiply: 124,
  NumpadSubtract: 123,
  NumpadAdd: 121,
  NumpadEnter: 57434,
  NumpadDecimal: 113,
  Numpad0: 112,
  Numpad1: 105,
  Numpad2: 114,
  Numpad3: 122,
  Numpad4: 107,
  Numpad5: 115,
  Numpad6: 116,
  Numpad7: 108,
  Numpad8: 117,
  Numpad9: 125,
  IntlBackslash: 97,
  PrintScreen: 57468
};
var pauseSequence = [225, 20, 119, 225, 240, 20, 240, 119];
function scanCodes(key, pressed) {
  if (key === "Pause") return pressed ? [...pauseSequence] : [];
  if (!Object.hasOwn(makeCodes, key)) return void 0;
  const code = makeCodes[key];
  const prefix = code > 255 ? [224] : [];
  return pressed ? [...prefix, code & 255] : [...prefix, 240, code & 255];
}
var keyNames = [...Object.keys(makeCodes), "Pause"];
function translate(bytes, breaks = false) {
  const translated = [];
  for (const byte of bytes) {
    if (byte === 240) breaks = true;
    else {
      translated.push(breaks ? translateByte(byte) | 128 : translateByte(byte));
      breaks = false;
    }
  }
  return { bytes: translated, breaks };
}

// emulator/devices/ps2-keyboard.ts
var ACKNOWLEDGE = 250;
var RESEND = 254;
var SELF_TEST_PASSED = 170;
var OVERRUN = 0;
var bufferLimit = 16;
function keyboardAtPowerOn() {
  return {
    output: [],
    scanning: true,
    scanCodeSet: 2,
    leds: 0,
    typematic: 43,
    awaits: 0,
    lastSent: SELF_TEST_PASSED
  };
}
function pressKey(state, key, pressed) {
  const codes = scanCodes(key, pressed);
  if (codes === void 0) return false;
  if (!state.scanning) return true;
  const bytes = state.scanCodeSet === 1 ? translate(codes).bytes : codes;
  if (state.output.length + bytes.length <= bufferLimit) state.output.push(...bytes);
  else if (state.output.at(-1) !== OVERRUN && state.output.length <= bufferLimit) state.output.push(OVERRUN);
  return true;
}
function commandKeyboard(state, byte) {
  const answer = (...bytes) => {
    if (state.output.length + bytes.length <= 2 * bufferLimit) state.output.push(...bytes);
  };
  const command = state.awaits;
  state.awaits = 0;
  if (command !== 0 && byte < 237) {
    argument(state, command, byte, answer);
    return;
  }
  switch (byte) {
    case 237:
    // set LEDs
    case 240:
    // select scan code set
    case 243:
      state.awaits = byte;
      answer(ACKNOWLEDGE);
      break;
    case 238:
      answer(238);
      break;
    case 242:
      answer(ACKNOWLEDGE, 171, 131);
      break;
    case 244:
    // enable
    case 245:
    // default disable
    case 246:
      state.output = [];
      if (byte !== 244) Object.assign(state, { scanCodeSet: 2, typematic: 43 });
      state.scanning = byte !== 245;
      answer(ACKNOWLEDGE);
      break;
    case 254:
      answer(state.lastSent);
      break;
    case 255:
      Object.assign(state, keyboardAtPowerOn());
      answer(ACKNOWLEDGE, SELF_TEST_PASSED);
      break;
    default:
      answer(RESEND);
  }
}
function argument(state, command, byte, answer) {
  if (command === 237) state.leds = byte & 7;
  else if (command === 243) state.typematic = byte & 127;
  else if (byte === 0) {
    answer(ACKNOWLEDGE, state.scanCodeSet);
    return;
  } else if (byte === 1 || byte === 2) state.scanCodeSet = byte;
  else {
    answer(RESEND);
    return;
  }
  answer(ACKNOWLEDGE);
}

// emulator/devices/ps2-mouse.ts
var ACKNOWLEDGE2 = 250;
var RESEND2 = 254;
var bufferLimit2 = 48;
function mouseAtPowerOn() {
  return {
    output: [],
    reporting: false,
    remote: false,
    wrap: false,
    scaling: false,
    resolution: 2,
    sampleRate: 100,
    buttons: 0,
    x: 0,
    y: 0,
    awaits: 0
  };
}
var clamp = (value) => Math.max(-255, Math.min(255, value));
function packet(state) {
  const x = clamp(state.x);
  const y = clamp(state.y);
  state.x -= x;
  state.y -= y;
  return [8 | state.buttons | (x < 0 ? 16 : 0) | (y < 0 ? 32 : 0), x & 255, y & 255];
}
function moveMouse(state, x, y, buttons) {
  const limit = 32767;
  state.x = Math.max(-limit, Math.min(limit, state.x + Math.trunc(x)));
  state.y = Math.max(-limit, Math.min(limit, state.y + Math.trunc(y)));
  state.buttons = buttons & 7;
  if (!state.reporting || state.remote || state.wrap) return;
  do {
    if (state.output.length + 3 > bufferLimit2) return;
    state.output.push(...packet(state));
  } while (state.x !== 0 || state.y !== 0);
}
function commandMouse(state, byte) {
  const answer = (...bytes) => {
    if (state.output.length + bytes.length <= 2 * bufferLimit2) state.output.push(...bytes);
  };
  const command = state.awaits;
  state.awaits = 0;
  if (command !== 0) {
    if (command === 243) state.sampleRate = byte;
    else state.resolution = byte & 3;
    answer(ACKNOWLEDGE2);
    return;
  }
  if (state.wrap && byte !== 255 && byte !== 236) {
    answer(byte);
    return;
  }
  switch (byte) {
    case 230:
    // scaling 1:1
    case 231:
      state.scaling = byte === 231;
      break;
    case 232:
    // resolution
    case 243:
      state.awaits = byte;
      break;
    case 233: {
      const mode = (state.remote ? 64 : 0) | (state.reporting ? 32 : 0) | (state.scaling ? 16 : 0);
      const { buttons } = state;
      const held = (buttons & 1) << 2 | (buttons & 4) >> 1 | (buttons & 2) >> 1;
      answer(ACKNOWLEDGE2, mode | held, state.resolution, state.sampleRate);
      return;
    }
    case 234:
      state.remote = false;
      break;
    case 235:
      answer(ACKNOWLEDGE2, ...packet(state));
      return;
    case 236:
    // reset wrap mode
    case 238:
      state.wrap = byte === 238;
      break;
    case 240:
      state.remote = true;
      break;
    case 242:
      answer(ACKNOWLEDGE2, 0);
      return;
    case 244:
    // enable
    case 245:
      state.reporting = byte === 244;
      break;
    case 246:
      Object.assign(state, { ...mouseAtPowerOn(), output: state.output, buttons: state.buttons });
      break;
    case 255:
      Object.assign(state, { ...mouseAtPowerOn(), buttons: state.buttons });
      answer(ACKNOWLEDGE2, 170, 0);
      return;
    default:
      answer(RESEND2);
      return;
  }
  answer(ACKNOWLEDGE2);
}

// emulator/devices/i8042.ts
var STATUS_OUTPUT_FULL = 1;
var STATUS_SYSTEM = 4;
var STATUS_COMMAND2 = 8;
var STATUS_NOT_LOCKED = 16;
var STATUS_AUXILIARY = 32;
var KEYBOARD_INTERRUPT = 1;
var AUXILIARY_INTERRUPT = 2;
var SYSTEM_FLAG = 4;
var KEYBOARD_DISABLED = 16;
var AUXILIARY_DISABLED = 32;
var TRANSLATE = 64;
var OUTPUT_NOT_RESET = 1;
var OUTPUT_A20 = 2;
function powerOn3() {
  const memory = new Array(32).fill(0);
  memory[0] = KEYBOARD_INTERRUPT | SYSTEM_FLAG | AUXILIARY_DISABLED | TRANSLATE;
  return {
    memory,
    outputPort: OUTPUT_NOT_RESET | OUTPUT_A20,
    output: null,
    answers: [],
    awaits: 0,
    wasCommand: false,
    breaks: false,
    keyboard: keyboardAtPowerOn(),
    mouse: mouseAtPowerOn(),
    lastByte: 0
  };
}
var I8042 = class {
  /**
   * @param onA20 the output port's A20 bit, whenever it is written.
   * @param onReset the reset line is pulsed (command 0xfe) or pulled low.
   */
  constructor(irq1, irq12, onA20, onReset) {
    this.irq1 = irq1;
    this.irq12 = irq12;
    this.onA20 = onA20;
    this.onReset = onReset;
  }
  irq1;
  irq12;
  onA20;
  onReset;
  name = "8042";
  data = {
    widestAccess: 1,
    read: () => this.readData(),
    write: (_offset, _size, value) => this.writeData(value & 255)
  };
  command = {
    widestAccess: 1,
    read: () => this.status(),
    write: (_offset, _size, value) => this.writeCommand(value & 255)
  };
  state = powerOn3();
  /** A key of the user, named as KeyboardEvent.code; false if a PS/2 keyboard has no such key. */
  key(name, pressed) {
    const known = pressKey(this.state.keyboard, name, pressed);
    this.advance();
    return known;
  }
  /** The user's mouse moves by counts (right and up) and has these buttons held: left 1, right 2, middle 4. */
  mouse(x, y, buttons) {
    moveMouse(this.state.mouse, x, y, buttons);
    this.advance();
  }
  /** Port 0x92, the other source of the A20 gate, has set it: the output port shows it. */
  followA20(enabled) {
    const { state } = this;
    state.outputPort = enabled ? state.outputPort | OUTPUT_A20 : state.outputPort & ~OUTPUT_A20;
  }
  reset() {
    this.state = powerOn3();
    this.onA20(true);
    this.advance();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
    this.onA20((this.state.outputPort & OUTPUT_A20) !== 0);
    this.drive();
  }
  registers() {
    const { memory, outputPort, output, keyboard, mouse } = this.state;
    const flags = ["keyboard interrupt", "mouse interrupt", "system", "", "keyboard off", "mouse off", "translate"];
    const leds = bits(keyboard.leds, ["scroll", "num", "caps"]);
    return [
      {
        name: "status",
        width: 8,
        value: this.status(),
        meaning: bits(this.status(), ["output full", "", "system", "command", "", "mouse byte"])
      },
      { name: "command byte", width: 8, value: memory[0], meaning: bits(memory[0], flags) },
      { name: "output port", width: 8, value: outputPort, meaning: bits(outputPort, ["no reset", "A20"]) },
      {
        name: "output buffer",
        width: 8,
        value: output?.byte ?? 0,
        meaning: output ? `from the ${output.source}` : "empty"
      },
      { name: "keyboard LEDs", width: 3, value: keyboard.leds, meaning: leds },
      { name: "keyboard bytes", width: 8, value: keyboard.output.length, meaning: `set ${keyboard.scanCodeSet}` },
      { name: "mouse bytes", width: 8, value: mouse.output.length, meaning: mouse.reporting ? "reports" : "silent" }
    ];
  }
  status() {
    const { output, memory, wasCommand } = this.state;
    return STATUS_NOT_LOCKED | memory[0] & STATUS_SYSTEM | (wasCommand ? STATUS_COMMAND2 : 0) | (output ? STATUS_OUTPUT_FULL : 0) | (output?.source === "mouse" ? STATUS_AUXILIARY : 0);
  }
  readData() {
    const { state } = this;
    if (state.output) {
      state.lastByte = state.output.byte;
      state.output = null;
      this.drive();
      this.advance();
    }
    return state.lastByte;
  }
  writeData(value) {
    const { state } = this;
    const command = state.awaits;
    state.awaits = 0;
    state.wasCommand = false;
    if (command >= 96 && command <= 127) state.memory[command & 31] = value;
    else if (command === 209) this.writeOutputPort(value);
    else if (command === 210 || command === 211) this.put(value, command === 210 ? "keyboard" : "mouse");
    else if (command === 212) {
      state.memory[0] &= ~AUXILIARY_DISABLED;
      commandMouse(state.mouse, value);
    } else {
      state.memory[0] &= ~KEYBOARD_DISABLED;
      commandKeyboard(state.keyboard, value);
    }
    this.advance();
  }
  writeCommand(command) {
    const { state } = this;
    state.wasCommand = true;
    state.awaits = 0;
    const answer = (byte) => {
      if (state.answers.length < 4) state.answers.push(byte);
    };
    if (command >= 32 && command <= 63) answer(state.memory[command & 31]);
    else if (command >= 96 && command <= 127 || command >= 209 && command <= 212) state.awaits = command;
    else if (command >= 240) {
      if (!(command & 1)) this.onReset();
    } else
      switch (command) {
        case 167:
          state.memory[0] |= AUXILIARY_DISABLED;
          break;
        case 168:
          state.memory[0] &= ~AUXILIARY_DISABLED;
          break;
        case 169:
          answer(0);
          break;
        case 170:
          state.memory[0] |= SYSTEM_FLAG;
          answer(85);
          break;
        case 171:
          answer(0);
          break;
        case 173:
          state.memory[0] |= KEYBOARD_DISABLED;
          break;
        case 174:
          state.memory[0] &= ~KEYBOARD_DISABLED;
          break;
        case 192:
          answer(128);
          break;
        case 208:
          answer(state.outputPort | (state.output ? state.output.source === "mouse" ? 32 : 16 : 0));
          break;
        case 221:
        case 223:
          this.writeOutputPort(command === 223 ? state.outputPort | OUTPUT_A20 : state.outputPort & ~OUTPUT_A20);
          break;
      }
    this.advance();
  }
  writeOutputPort(value) {
    this.state.outputPort = value & 207;
    this.onA20((value & OUTPUT_A20) !== 0);
    if (!(value & OUTPUT_NOT_RESET)) {
      this.state.outputPort |= OUTPUT_NOT_RESET;
      this.onReset();
    }
  }
  /** Puts a byte into the output buffer; one that waits there is overwritten (commands 0xd2 and 0xd3 only). */
  put(byte, source) {
    this.state.output = { byte, source };
    this.drive();
  }
  /** Moves the next byte into the empty output buffer: the controller's answers first, then keyboard, then mouse. */
  advance() {
    const { state } = this;
    while (state.output === null) {
      const flags = state.memory[0];
      if (state.answers.length > 0) this.put(state.answers.shift(), "controller");
      else if (state.keyboard.output.length > 0 && !(flags & KEYBOARD_DISABLED)) {
        const byte = state.keyboard.output.shift();
        state.keyboard.lastSent = byte;
        if (!(flags & TRANSLATE)) this.put(byte, "keyboard");
        else {
          const translated = translate([byte], state.breaks);
          state.breaks = translated.breaks;
          if (translated.bytes.length > 0) this.put(translated.bytes[0], "keyboard");
        }
      } else if (state.mouse.output.length > 0 && !(flags & AUXILIARY_DISABLED)) {
        this.put(state.mouse.output.shift(), "mouse");
      } else break;
    }
    this.drive();
  }
  /** IRQ 1 for a full buffer, IRQ 12 when the byte is the mouse's; each as the command byte allows. */
  drive() {
    const { output, memory } = this.state;
    const mouse = output?.source === "mouse";
    this.irq1.set(output !== null && !mouse && (memory[0] & KEYBOARD_INTERRUPT) !== 0);
    this.irq12.set(mouse && (memory[0] & AUXILIARY_INTERRUPT) !== 0);
  }
};

// emulator/devices/io-apic.ts
var IOREGSEL = 0;
var IOWIN = 16;
var IOAPICID = 0;
var IOAPICVER = 1;
var IOAPICARB = 2;
var IOREDTBL = 16;
var entryCount = 24;
var versionValue = entryCount - 1 << 16 | 17;
var ENTRY_LOGICAL = 2048;
var ENTRY_REMOTE_IRR = 16384;
var ENTRY_LEVEL = 32768;
var ENTRY_MASKED = 65536;
var ENTRY_WRITABLE = 110591;
function atReset(lines) {
  return {
    id: 0,
    select: 0,
    low: new Array(entryCount).fill(ENTRY_MASKED),
    high: new Array(entryCount).fill(0),
    lines
  };
}
var IoApic = class {
  constructor(bus) {
    this.bus = bus;
    bus.addListener(this);
  }
  bus;
  name = "82093AA I/O APIC";
  state = atReset(new Array(entryCount).fill(false));
  /** Input 0 to 23. */
  line(input) {
    if (!(input >= 0 && input < entryCount)) throw new RangeError(`The I/O APIC has no input ${input}.`);
    return { set: (asserted) => this.setLine(input, asserted) };
  }
  read(offset, size) {
    const value = this.window(offset & ~3);
    const shifted = value >>> 8 * (offset & 3);
    return size === 4 ? shifted : size === 2 ? shifted & 65535 : shifted & 255;
  }
  /** "All accesses must be 32 bits"; a narrow write reaches only the select register. */
  write(offset, size, value) {
    const { state } = this;
    if (offset === IOREGSEL) state.select = value & 255;
    else if (offset === IOWIN && size === 4) this.writeRegister(state.select, value >>> 0);
  }
  endOfInterrupt(vector2) {
    const { state } = this;
    for (let i = 0; i < entryCount; i++) {
      const low2 = state.low[i];
      if ((low2 & 255) !== vector2 || !(low2 & ENTRY_REMOTE_IRR)) continue;
      state.low[i] = low2 & ~ENTRY_REMOTE_IRR;
      this.offerLevel(i);
    }
  }
  reset() {
    this.state = atReset(this.state.lines);
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
  }
  registers() {
    const { state } = this;
    const views = [
      { name: "IOREGSEL", width: 8, value: state.select },
      { name: "IOAPICID", width: 32, value: this.register(IOAPICID) },
      { name: "IOAPICVER", width: 32, value: versionValue }
    ];
    for (let i = 0; i < entryCount; i++) {
      const low2 = state.low[i];
      const high2 = state.high[i];
      const how = [
        `vector ${hex(low2 & 255, 8)}`,
        low2 & ENTRY_LEVEL ? "level" : "edge",
        low2 & ENTRY_MASKED ? "masked" : "",
        low2 & ENTRY_REMOTE_IRR ? "remote IRR" : "",
        `to ${low2 & ENTRY_LOGICAL ? "logical " : ""}${high2 >>> 24}`,
        state.lines[i] ? "line asserted" : ""
      ];
      views.push({
        name: `IOREDTBL${i}`,
        width: 64,
        value: BigInt(high2) << 32n | BigInt(low2),
        meaning: how.filter(Boolean).join(", ")
      });
    }
    return views;
  }
  window(offset) {
    if (offset === IOREGSEL) return this.state.select;
    return offset === IOWIN ? this.register(this.state.select) : 0;
  }
  register(number) {
    const { state } = this;
    if (number === IOAPICID || number === IOAPICARB) return state.id << 24 >>> 0;
    if (number === IOAPICVER) return versionValue;
    const entry = number - IOREDTBL >> 1;
    if (entry < 0 || entry >= entryCount) return 0;
    return (number & 1 ? state.high : state.low)[entry];
  }
  writeRegister(number, value) {
    const { state } = this;
    if (number === IOAPICID) {
      state.id = value >>> 24 & 15;
      return;
    }
    const entry = number - IOREDTBL >> 1;
    if (entry < 0 || entry >= entryCount) return;
    if (number & 1) {
      state.high[entry] = (value & 4278190080) >>> 0;
      return;
    }
    let low2 = value & ENTRY_WRITABLE | state.low[entry] & ENTRY_REMOTE_IRR;
    if (!(low2 & ENTRY_LEVEL)) low2 &= ~ENTRY_REMOTE_IRR;
    state.low[entry] = low2;
    this.offerLevel(entry);
  }
  setLine(input, asserted) {
    const { state } = this;
    if (state.lines[input] === asserted) return;
    state.lines[input] = asserted;
    if (!asserted) return;
    const low2 = state.low[input];
    if (low2 & ENTRY_LEVEL) this.offerLevel(input);
    else if (!(low2 & ENTRY_MASKED)) this.send(input);
  }
  offerLevel(input) {
    const { state } = this;
    const low2 = state.low[input];
    if (!state.lines[input] || !(low2 & ENTRY_LEVEL) || low2 & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) return;
    state.low[input] = low2 | ENTRY_REMOTE_IRR;
    if (!this.send(input)) state.low[input] = low2;
  }
  send(input) {
    const { state } = this;
    const low2 = state.low[input];
    const deliveryMode = low2 >> 8 & 7;
    return this.bus.deliver({
      destination: state.high[input] >>> 24,
      logical: (low2 & ENTRY_LOGICAL) !== 0,
      deliveryMode,
      vector: low2 & 255,
      // Only fixed and lowest-priority interrupts know levels; the others are edges.
      levelTriggered: (low2 & ENTRY_LEVEL) !== 0 && deliveryMode <= DeliveryMode.lowestPriority
    });
  }
};

// emulator/devices/io-port-bus.ts
var portCount = 65536;
var IoPortBus = class {
  constructor(unassigned) {
    this.unassigned = unassigned;
  }
  unassigned;
  /** Per port: 1 + index into `ranges`, or 0. */
  table = new Uint16Array(portCount);
  ranges = [];
  /** @throws RangeError when the range leaves the port space or overlaps another; the sentence names both. */
  register(base, length, block, name) {
    if (!(base >= 0 && length > 0 && base + length <= portCount))
      throw new RangeError(`${name}: ports ${hex(base, 16)} + ${length} leave the 64 Ki port space.`);
    const other = this.overlapping(base, length);
    if (other)
      throw new RangeError(
        `${name}: ports ${hex(base, 16)}-${hex(base + length - 1, 16)} overlap ${other.name} at ${hex(other.base, 16)}-${hex(other.base + other.length - 1, 16)}.`
      );
    let slot = this.ranges.indexOf(void 0);
    if (slot < 0) slot = this.ranges.length;
    this.ranges[slot] = { base, length, block, name, widest: block.widestAccess ?? 4 };
    this.table.fill(slot + 1, base, base + length);
  }
  /** Removes the range that starts at `base`; false if there is none. */
  unregister(base) {
    const slot = this.ranges.findIndex((range) => range?.base === base);
    if (slot < 0) return false;
    this.table.fill(0, base, base + this.ranges[slot].length);
    this.ranges[slot] = void 0;
    return true;
  }
  /** A registered range that shares a port with `[base, base + length)`. */
  overlapping(base, length) {
    for (let port = Math.max(base, 0); port < Math.min(base + length, portCount); port++)
      if (this.table[port]) return this.ranges[this.table[port] - 1];
    return void 0;
  }
  read(port, size) {
    port &= 65535;
    const slot = this.table[port];
    if (slot !== 0) {
      const range = this.ranges[slot - 1];
      const offset = port - range.base;
      if (size <= range.widest && offset + size <= range.length) return range.block.read(offset, size);
      if (size === 1) return range.block.read(offset, 1);
    } else if (size === 1 || !this.anyDevice(port, size)) return this.unassigned.read(port, size);
    const half2 = size >> 1;
    const low2 = this.read(port, half2);
    return (low2 | this.read(port + half2, half2) << 8 * half2) >>> 0;
  }
  write(port, size, value) {
    port &= 65535;
    const slot = this.table[port];
    if (slot !== 0) {
      const range = this.ranges[slot - 1];
      const offset = port - range.base;
      if (size === 1 || size <= range.widest && offset + size <= range.length) {
        range.block.write(offset, size, value);
        return;
      }
    } else if (size === 1 || !this.anyDevice(port, size)) {
      this.unassigned.write(port, size, value);
      return;
    }
    const half2 = size >> 1;
    this.write(port, half2, value & allOnes(half2));
    this.write(port + half2, half2, value >>> 8 * half2 & allOnes(half2));
  }
  /** The port map, lowest port first. */
  describe() {
    return this.ranges.filter((range) => range !== void 0).map(({ base, length, name }) => ({ base, length, name })).sort((a, b) => a.base - b.base);
  }
  anyDevice(port, size) {
    for (let i = 1; i < size; i++) if (this.table[port + i & 65535]) return true;
    return false;
  }
};

// emulator/devices/apic-timer.ts
var TimerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 };
function apicTimerAtReset() {
  return {
    initialCount: 0,
    divideConfiguration: 0,
    mode: TimerMode.oneShot,
    masked: true,
    startTick: 0,
    startCount: 0,
    tscDeadline: "0x0"
  };
}
var shortestAlarmNanoseconds = 1e3;
var ApicTimer = class {
  /** @param timeOfTsc the first virtual time at which the time-stamp counter has reached a value. */
  constructor(clock, rate, timeOfTsc, expired) {
    this.clock = clock;
    this.rate = rate;
    this.timeOfTsc = timeOfTsc;
    this.expired = expired;
  }
  clock;
  rate;
  timeOfTsc;
  expired;
  state = apicTimerAtReset();
  alarm;
  get currentCount() {
    const { state } = this;
    if (state.mode === TimerMode.tscDeadline || state.startCount === 0) return 0;
    const elapsed = this.elapsed(this.clock.now());
    if (elapsed < state.startCount) return state.startCount - elapsed;
    if (state.mode === TimerMode.oneShot || state.initialCount === 0) return 0;
    return state.initialCount - (elapsed - state.startCount) % state.initialCount;
  }
  get tscDeadline() {
    return BigInt(this.state.tscDeadline);
  }
  /** Ignored in TSC-deadline mode. Zero stops the timer. */
  writeInitialCount(count) {
    const { state } = this;
    if (state.mode === TimerMode.tscDeadline) return;
    state.initialCount = count;
    state.startCount = count;
    state.startTick = this.rate.ticksAt(this.clock.now());
    this.arm();
  }
  writeDivideConfiguration(value) {
    const { state } = this;
    state.startCount = this.currentCount;
    state.startTick = this.rate.ticksAt(this.clock.now());
    state.divideConfiguration = value & 11;
    this.arm();
  }
  /** The mode and mask of the LVT register. Entering or leaving TSC-deadline mode disarms the timer. */
  configure(mode, masked) {
    const { state } = this;
    if (mode !== state.mode) {
      if (mode === TimerMode.tscDeadline || state.mode === TimerMode.tscDeadline) {
        state.startCount = 0;
        state.initialCount = 0;
        state.tscDeadline = "0x0";
      } else {
        state.startCount = this.currentCount;
        state.startTick = this.rate.ticksAt(this.clock.now());
      }
    }
    state.mode = mode;
    state.masked = masked;
    this.arm();
  }
  /** Ignored outside TSC-deadline mode. Zero disarms. */
  writeTscDeadline(value) {
    if (this.state.mode !== TimerMode.tscDeadline) return;
    this.state.tscDeadline = `0x${BigInt.asUintN(64, value).toString(16)}`;
    this.arm();
  }
  /** Asks for the alarm that the state calls for; called after each change and after a restore. */
  arm() {
    this.alarm?.cancel();
    this.alarm = void 0;
    const time = this.nextExpiry();
    if (time === void 0) return;
    this.alarm = this.clock.at(time, () => {
      this.alarm = void 0;
      if (this.state.mode === TimerMode.tscDeadline) this.state.tscDeadline = "0x0";
      else if (this.state.mode === TimerMode.oneShot) this.state.startCount = 0;
      if (!this.state.masked) this.expired();
      if (this.alarm === void 0) this.arm();
    });
  }
  /** The count decrements once every 1, 2, 4, ... 128 ticks. */
  get divisor() {
    const value = this.state.divideConfiguration;
    const code = value & 3 | value >> 1 & 4;
    return code === 7 ? 1 : 2 << code;
  }
  elapsed(time) {
    const ticks = this.rate.ticksAt(time) - this.state.startTick;
    return (ticks - ticks % this.divisor) / this.divisor;
  }
  nextExpiry() {
    const { state } = this;
    if (state.mode === TimerMode.tscDeadline) {
      if (state.tscDeadline === "0x0") return void 0;
      const time = this.timeOfTsc(this.tscDeadline);
      return Number.isSafeInteger(time) && time >= 0 ? Math.max(time, this.clock.now()) : void 0;
    }
    if (state.startCount === 0 || state.masked) return void 0;
    const elapsed = this.elapsed(this.clock.now());
    let count = state.startCount;
    if (elapsed >= count) {
      const period = state.initialCount;
      if (state.mode === TimerMode.oneShot || period === 0) return void 0;
      const soonest = this.elapsed(this.clock.now() + shortestAlarmNanoseconds - 1);
      count += (Math.floor((soonest - count) / period) + 1) * period;
    }
    return this.rate.timeOfTick(state.startTick + count * this.divisor);
  }
};

// emulator/devices/local-apic.ts
var ID = 2;
var VERSION = 3;
var TPR = 8;
var APR = 9;
var PPR = 10;
var EOI = 11;
var LDR = 13;
var DFR = 14;
var SVR = 15;
var ISR = 16;
var TMR = 24;
var IRR = 32;
var ESR = 40;
var ICR_LOW = 48;
var ICR_HIGH = 49;
var LVT_TIMER = 50;
var LVT_THERMAL = 51;
var LVT_PERFORMANCE = 52;
var LVT_LINT0 = 53;
var LVT_LINT1 = 54;
var LVT_ERROR = 55;
var INITIAL_COUNT = 56;
var CURRENT_COUNT = 57;
var DIVIDE = 62;
var SELF_IPI = 63;
var versionValue2 = 327700;
var LVT_MASKED = 65536;
var LVT_LEVEL = 32768;
var LVT_REMOTE_IRR = 16384;
var lvtWritable = {
  [LVT_TIMER]: 459007,
  [LVT_THERMAL]: 67583,
  [LVT_PERFORMANCE]: 67583,
  [LVT_LINT0]: 108543,
  [LVT_LINT1]: 108543,
  [LVT_ERROR]: 65791
};
var SVR_ENABLE = 256;
var ESR_SEND_ILLEGAL_VECTOR = 32;
var ESR_RECEIVE_ILLEGAL_VECTOR = 64;
var ESR_ILLEGAL_REGISTER = 128;
var BASE_BSP = 256;
var BASE_X2APIC = 1024;
var BASE_ENABLE = 2048;
function atReset2(id, isBootstrap, lint) {
  const lvt = {};
  for (const register of Object.keys(lvtWritable)) lvt[Number(register)] = LVT_MASKED;
  return {
    id,
    base: { flags: BASE_ENABLE | (isBootstrap ? BASE_BSP : 0), address: 4276092928 },
    tpr: 0,
    ldr: 0,
    dfr: 4294967295,
    svr: 255,
    esr: 0,
    errors: 0,
    icrLow: 0,
    icrHigh: 0,
    lvt,
    isr: new Array(8).fill(0),
    tmr: new Array(8).fill(0),
    irr: new Array(8).fill(0),
    lint,
    externalMessage: false,
    timer: apicTimerAtReset()
  };
}
function highestVector(words2) {
  for (let i = 7; i >= 0; i--) if (words2[i] !== 0) return 32 * i + 31 - Math.clz32(words2[i]);
  return -1;
}
function setVector(words2, vector2, value) {
  const bit2 = 1 << (vector2 & 31);
  words2[vector2 >> 5] = (value ? words2[vector2 >> 5] | bit2 : words2[vector2 >> 5] & ~bit2) >>> 0;
}
var LocalApic = class {
  /** @param timerHertz frequency of the timer before its divider. */
  constructor(apicId, surroundings, timerHertz = 1e9) {
    this.apicId = apicId;
    this.surroundings = surroundings;
    this.name = `Local APIC ${apicId}`;
    const { clock } = surroundings;
    this.timer = new ApicTimer(
      clock,
      new TickRate(timerHertz),
      surroundings.timeOfTsc,
      () => this.acceptFixed(this.state.lvt[LVT_TIMER] & 255, false)
    );
    this.state = this.stateAtReset([false, false]);
    surroundings.bus.addTarget(this);
  }
  apicId;
  surroundings;
  name;
  /** The 8259A pair's INTR, as on a PC. */
  lint0 = { set: (asserted) => this.setLint(0, asserted) };
  /** The PC's NMI. */
  lint1 = { set: (asserted) => this.setLint(1, asserted) };
  state;
  timer;
  told = false;
  /** IA32_APIC_BASE.EN: when clear, INTR and NMI go straight to the processor and the page is plain memory space. */
  get enabled() {
    return (this.state.base.flags & BASE_ENABLE) !== 0;
  }
  get x2apic() {
    return (this.state.base.flags & BASE_X2APIC) !== 0;
  }
  /** IA32_APIC_BASE. */
  get baseMsr() {
    return BigInt(this.state.base.address) | BigInt(this.state.base.flags);
  }
  /**
   * Writes IA32_APIC_BASE. False (nothing changes, the processor raises #GP) for reserved bits, an address beyond 2^52, and
   * the mode changes that section 11.12.5 forbids: disabled to x2APIC, x2APIC to xAPIC, x2APIC without enable.
   */
  writeBaseMsr(value) {
    if (value < 0n || value >= 1n << 52n || value & 0x2ffn) return false;
    const flags = Number(value & 0xfffn);
    const enable = (flags & BASE_ENABLE) !== 0;
    const extended2 = (flags & BASE_X2APIC) !== 0;
    if (extended2 && !enable) return false;
    if (extended2 && !this.enabled) return false;
    if (this.x2apic && enable && !extended2) return false;
    const wasEnabled = this.enabled;
    this.state.base = { flags, address: Number(value & ~0xfffn) };
    if (wasEnabled && !enable) {
      const { base, lint } = this.state;
      this.state = { ...this.stateAtReset(lint), base };
      this.timer.arm();
    }
    this.update();
    return true;
  }
  read(offset, size) {
    const value = this.readRegister(offset >> 4 & 255);
    const within = offset & 15;
    if (within >= 4) return 0;
    const shifted = value >>> 8 * within;
    return size === 4 ? shifted : size === 2 ? shifted & 65535 : shifted & 255;
  }
  /** Only whole registers can be written; other writes are undefined and do nothing. */
  write(offset, size, value) {
    if (size === 4 && (offset & 15) === 0) this.writeRegister(offset >> 4 & 255, value >>> 0);
  }
  /** RDMSR of 0x800 + `register`; undefined means #GP (table 11-6). */
  readX2apic(register) {
    if (!this.x2apic) return void 0;
    if (register === ICR_LOW) return BigInt(this.state.icrHigh) << 32n | BigInt(this.state.icrLow);
    if (register === LDR) return BigInt((this.state.id >>> 4 << 16 | 1 << (this.state.id & 15)) >>> 0);
    if (register === ID) return BigInt(this.state.id);
    const readable = register in lvtWritable || this.readable.has(register) || register >= ISR && register < ESR;
    if (!readable || register === DFR || register === APR || register === ICR_HIGH) return void 0;
    return BigInt(this.readRegister(register));
  }
  /** WRMSR of 0x800 + `register`; false means #GP. */
  writeX2apic(register, value) {
    if (!this.x2apic || value < 0n || value >= 1n << 64n) return false;
    const low2 = Number(value & 0xffffffffn);
    if (register === ICR_LOW) {
      this.state.icrHigh = Number(value >> 32n);
      this.writeRegister(ICR_LOW, low2);
      return true;
    }
    if (value >> 32n) return false;
    if (register === SELF_IPI) {
      if (low2 > 255) return false;
      this.acceptFixed(low2, false);
      return true;
    }
    if ((register === EOI || register === ESR) && low2 !== 0) return false;
    const simple = [TPR, EOI, SVR, ESR, INITIAL_COUNT, DIVIDE];
    if (!simple.includes(register) && !(register in lvtWritable)) return false;
    this.writeRegister(register, low2);
    return true;
  }
  /** Reads a register by number; an unknown one reads 0 and is an error (ESR bit 7). */
  readRegister(register) {
    const { state } = this;
    if (register >= ISR && register < ISR + 8) return state.isr[register - ISR];
    if (register >= TMR && register < TMR + 8) return state.tmr[register - TMR];
    if (register >= IRR && register < IRR + 8) return state.irr[register - IRR];
    if (register in lvtWritable) return state.lvt[register];
    if (!this.readable.has(register)) {
      this.raiseError(ESR_ILLEGAL_REGISTER);
      return 0;
    }
    return this.plainRegister(register);
  }
  /** Writes a register by number as the page does; an unknown one is an error (ESR bit 7). */
  writeRegister(register, value) {
    const { state } = this;
    switch (register) {
      case ID:
        if (!this.x2apic) state.id = value >>> 24;
        break;
      case TPR:
        state.tpr = value & 255;
        break;
      case EOI:
        this.endOfInterrupt();
        break;
      case LDR:
        state.ldr = (value & 4278190080) >>> 0;
        break;
      case DFR:
        state.dfr = (value | 268435455) >>> 0;
        break;
      case SVR:
        state.svr = value & 1023;
        if (!(state.svr & SVR_ENABLE))
          for (const entry of Object.keys(lvtWritable)) this.writeLvt(Number(entry), state.lvt[Number(entry)]);
        break;
      case ESR:
        state.esr = state.errors;
        state.errors = 0;
        break;
      case ICR_LOW:
        state.icrLow = value & 839679;
        this.sendInterprocessorInterrupt();
        break;
      case ICR_HIGH:
        state.icrHigh = (value & 4278190080) >>> 0;
        break;
      case INITIAL_COUNT:
        this.timer.writeInitialCount(value);
        break;
      case DIVIDE:
        this.timer.writeDivideConfiguration(value);
        break;
      case VERSION:
      case APR:
      case PPR:
      case CURRENT_COUNT:
        break;
      default:
        if (register in lvtWritable) this.writeLvt(register, value);
        else if (register < ISR || register >= ESR) this.raiseError(ESR_ILLEGAL_REGISTER);
    }
    this.update();
  }
  /** IA32_TSC_DEADLINE (section 11.5.4.1). */
  get tscDeadline() {
    return this.timer.tscDeadline;
  }
  writeTscDeadline(value) {
    this.timer.writeTscDeadline(value);
  }
  /** CR8, bits 7-4 of the TPR (section 11.8.6). */
  get taskPriorityClass() {
    return this.state.tpr >> 4;
  }
  set taskPriorityClass(value) {
    this.state.tpr = (value & 15) << 4;
    this.update();
  }
  /** Section 11.8.3.1: the higher of task priority and the class in service. */
  get processorPriority() {
    const { tpr, isr } = this.state;
    const inService = Math.max(highestVector(isr), 0);
    return tpr >> 4 >= inService >> 4 ? tpr : inService & 240;
  }
  /** The processor takes a maskable interrupt: the vector. ExtINT comes from the 8259A pair; a request that has gone gives the spurious vector. */
  acknowledge() {
    const { state } = this;
    if (this.externalPending()) {
      state.externalMessage = false;
      const vector3 = this.surroundings.acknowledgeExternal();
      this.update();
      return vector3;
    }
    const vector2 = this.deliverable();
    if (vector2 < 0) {
      this.update();
      return state.svr & 255;
    }
    setVector(state.irr, vector2, false);
    setVector(state.isr, vector2, true);
    this.update();
    return vector2;
  }
  matches(message) {
    if (!this.enabled) return false;
    const { destination } = message;
    if (!message.logical) {
      if (destination === (this.x2apic ? 4294967295 : 255) || destination === 255) return true;
      return destination === this.state.id;
    }
    if (this.x2apic) {
      const { id } = this.state;
      return destination >>> 16 === id >>> 4 && (destination >>> (id & 15) & 1) === 1;
    }
    const own = this.state.ldr >>> 24;
    if (this.state.dfr >>> 28 === 15) return (own & destination) !== 0;
    const cluster = destination >> 4;
    return (cluster === 15 || cluster === own >> 4) && (own & destination & 15) !== 0;
  }
  accept(message) {
    this.take(message.deliveryMode, message.vector, message.levelTriggered);
  }
  /**
   * Sets the virtual wire mode in which firmware hands over (MultiProcessor Specification 1.4, section 3.6.2.2): enabled, LINT0 is
   * ExtINT, LINT1 is NMI. For machines that start a kernel without firmware.
   */
  enterVirtualWireMode() {
    this.writeRegister(SVR, SVR_ENABLE | 255);
    this.writeRegister(LVT_LINT0, DeliveryMode.externalInterrupt << 8);
    this.writeRegister(LVT_LINT1, DeliveryMode.nonMaskable << 8);
  }
  /** What INIT does (section 11.4.7.3): as power-on, but APIC ID and IA32_APIC_BASE stay. */
  initialize() {
    const { base, id } = this.state;
    this.reset();
    Object.assign(this.state, { base, id });
    this.update();
  }
  /** As power-on leaves it; the levels of LINT0 and LINT1 are the outside's. */
  reset() {
    this.state = this.stateAtReset(this.state.lint);
    this.timer.arm();
    this.update();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
    this.timer.state = this.state.timer;
    this.timer.arm();
    this.told = !this.wanted();
    this.update();
  }
  registers() {
    const { state } = this;
    const names2 = [
      ["ID", ID],
      ["VERSION", VERSION],
      ["TPR", TPR],
      ["PPR", PPR],
      ["LDR", LDR],
      ["DFR", DFR],
      ["SVR", SVR, `${state.svr & SVR_ENABLE ? "enabled" : "software disabled"}, spurious vector ${state.svr & 255}`],
      ["ESR", ESR],
      ["ICR low", ICR_LOW],
      ["ICR high", ICR_HIGH],
      ["initial count", INITIAL_COUNT],
      ["current count", CURRENT_COUNT],
      ["divide", DIVIDE]
    ];
    const vectors = (words2) => {
      const set = [];
      for (let v = 0; v < 256; v++) if (words2[v >> 5] >>> (v & 31) & 1) set.push(hex(v, 8));
      return set.join(" ");
    };
    const wide = (words2) => words2.reduceRight((all, word) => all << 32n | BigInt(word), 0n);
    const lvt = [
      ["LVT timer", LVT_TIMER],
      ["LVT thermal", LVT_THERMAL],
      ["LVT performance", LVT_PERFORMANCE],
      ["LVT LINT0", LVT_LINT0],
      ["LVT LINT1", LVT_LINT1],
      ["LVT error", LVT_ERROR]
    ];
    return [
      {
        name: "IA32_APIC_BASE",
        width: 64,
        value: this.baseMsr,
        meaning: this.enabled ? this.x2apic ? "x2APIC" : "xAPIC" : "disabled"
      },
      ...names2.map(([name, register, meaning]) => ({
        name,
        width: 32,
        value: this.plainRegister(register),
        ...meaning ? { meaning } : {}
      })),
      ...lvt.map(([name, register]) => ({
        name,
        width: 32,
        value: state.lvt[register],
        meaning: `vector ${hex(state.lvt[register] & 255, 8)}${state.lvt[register] & LVT_MASKED ? ", masked" : ""}`
      })),
      { name: "ISR", width: 256, value: wide(state.isr), meaning: vectors(state.isr) },
      { name: "TMR", width: 256, value: wide(state.tmr), meaning: vectors(state.tmr) },
      { name: "IRR", width: 256, value: wide(state.irr), meaning: vectors(state.irr) }
    ];
  }
  readable = /* @__PURE__ */ new Set([
    ...[ID, VERSION, TPR, APR, PPR, EOI, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, INITIAL_COUNT, CURRENT_COUNT, DIVIDE]
  ]);
  /** A register whose reading has no side effect. */
  plainRegister(register) {
    const { state } = this;
    switch (register) {
      case ID:
        return this.x2apic ? state.id : state.id << 24 >>> 0;
      case VERSION:
        return versionValue2;
      case TPR:
        return state.tpr;
      case APR:
      case PPR:
        return this.processorPriority;
      case LDR:
        return state.ldr;
      case DFR:
        return state.dfr;
      case SVR:
        return state.svr;
      case ESR:
        return state.esr;
      case ICR_LOW:
        return state.icrLow;
      case ICR_HIGH:
        return state.icrHigh;
      case INITIAL_COUNT:
        return state.timer.initialCount;
      case CURRENT_COUNT:
        return this.timer.currentCount;
      case DIVIDE:
        return state.timer.divideConfiguration;
      default:
        return 0;
    }
  }
  stateAtReset(lint) {
    const state = atReset2(this.apicId, this.apicId === 0, lint);
    this.timer.state = state.timer;
    return state;
  }
  writeLvt(register, value) {
    const { state } = this;
    let entry = value & lvtWritable[register] | state.lvt[register] & LVT_REMOTE_IRR;
    if (!(state.svr & SVR_ENABLE)) entry |= LVT_MASKED;
    state.lvt[register] = entry;
    if (register === LVT_TIMER) {
      const mode = entry >> 17 & 3;
      this.timer.configure(mode === 3 ? TimerMode.oneShot : mode, (entry & LVT_MASKED) !== 0);
    }
    if (register === LVT_LINT0 || register === LVT_LINT1) {
      if (!(entry & LVT_LEVEL)) state.lvt[register] = entry & ~LVT_REMOTE_IRR;
      this.offerLevel(register);
    }
  }
  setLint(pin, asserted) {
    const { state } = this;
    if (state.lint[pin] === asserted) return;
    state.lint[pin] = asserted;
    if (!this.enabled) {
      if (pin === 1 && asserted) this.surroundings.nonMaskable();
    } else if (asserted) {
      const register = pin === 0 ? LVT_LINT0 : LVT_LINT1;
      const entry = state.lvt[register];
      const mode = entry >> 8 & 7;
      if (mode === DeliveryMode.fixed && entry & LVT_LEVEL) this.offerLevel(register);
      else if (!(entry & LVT_MASKED) && mode !== DeliveryMode.externalInterrupt) this.take(mode, entry & 255, false);
    }
    this.update();
  }
  /** A level-triggered fixed interrupt of LINT0 or LINT1 is delivered once until its EOI. */
  offerLevel(register) {
    const { state } = this;
    const entry = state.lvt[register];
    const asserted = state.lint[register - LVT_LINT0];
    if (!asserted || !(entry & LVT_LEVEL) || entry & (LVT_MASKED | LVT_REMOTE_IRR | 1792)) return;
    state.lvt[register] = entry | LVT_REMOTE_IRR;
    this.acceptFixed(entry & 255, true);
  }
  externalPending() {
    const { state } = this;
    if (!this.enabled) return state.lint[0];
    if (state.externalMessage) return true;
    const isExternal = (entry) => !(entry & LVT_MASKED) && (entry >> 8 & 7) === DeliveryMode.externalInterrupt;
    return state.lint[0] && isExternal(state.lvt[LVT_LINT0]) || state.lint[1] && isExternal(state.lvt[LVT_LINT1]);
  }
  /** The vector that the processor would be given now, or -1. */
  deliverable() {
    if (!this.enabled) return -1;
    const vector2 = highestVector(this.state.irr);
    return vector2 >= 0 && vector2 >> 4 > this.processorPriority >> 4 ? vector2 : -1;
  }
  wanted() {
    return this.externalPending() || this.deliverable() >= 0;
  }
  update() {
    const wanted = this.wanted();
    if (wanted === this.told) return;
    this.told = wanted;
    this.surroundings.interruptPending(wanted);
  }
  take(mode, vector2, levelTriggered) {
    if (!this.enabled) return;
    switch (mode) {
      case DeliveryMode.fixed:
      case DeliveryMode.lowestPriority:
        this.acceptFixed(vector2, levelTriggered);
        break;
      case DeliveryMode.systemManagement:
        this.surroundings.systemManagement();
        break;
      case DeliveryMode.nonMaskable:
        this.surroundings.nonMaskable();
        break;
      case DeliveryMode.init:
        this.surroundings.init();
        break;
      case DeliveryMode.startUp:
        this.surroundings.startUp(vector2);
        break;
      case DeliveryMode.externalInterrupt:
        this.state.externalMessage = true;
        this.update();
        break;
    }
  }
  acceptFixed(vector2, levelTriggered) {
    const { state } = this;
    if (!(state.svr & SVR_ENABLE)) return;
    if (vector2 < 16) {
      this.raiseError(ESR_RECEIVE_ILLEGAL_VECTOR);
      return;
    }
    setVector(state.irr, vector2, true);
    setVector(state.tmr, vector2, levelTriggered);
    this.update();
  }
  endOfInterrupt() {
    const { state } = this;
    const vector2 = highestVector(state.isr);
    if (vector2 < 0) return;
    setVector(state.isr, vector2, false);
    if (!(state.tmr[vector2 >> 5] >>> (vector2 & 31) & 1)) return;
    for (const register of [LVT_LINT0, LVT_LINT1]) {
      const entry = state.lvt[register];
      if (!(entry & LVT_REMOTE_IRR) || (entry & 255) !== vector2) continue;
      state.lvt[register] = entry & ~LVT_REMOTE_IRR;
      this.offerLevel(register);
    }
    this.surroundings.bus.endOfInterrupt(vector2);
  }
  sendInterprocessorInterrupt() {
    const { icrLow, icrHigh } = this.state;
    const deliveryMode = icrLow >> 8 & 7;
    const vector2 = icrLow & 255;
    const levelTriggered = (icrLow & 32768) !== 0;
    if (deliveryMode === DeliveryMode.init && levelTriggered && !(icrLow & 16384)) return;
    if (deliveryMode === 3 || deliveryMode === DeliveryMode.externalInterrupt) return;
    if (deliveryMode <= DeliveryMode.lowestPriority && vector2 < 16) {
      this.raiseError(ESR_SEND_ILLEGAL_VECTOR);
      return;
    }
    const message = {
      destination: this.x2apic ? icrHigh : icrHigh >>> 24,
      logical: (icrLow & 2048) !== 0,
      deliveryMode,
      vector: vector2,
      // IPIs are edge triggered whatever bit 15 says (section 11.6.1, trigger mode).
      levelTriggered: false
    };
    const { bus } = this.surroundings;
    switch (icrLow >> 18 & 3) {
      case 0:
        bus.deliver(message);
        break;
      case 1:
        if (deliveryMode <= DeliveryMode.lowestPriority) this.accept(message);
        break;
      case 2:
        bus.broadcast(message);
        break;
      default:
        bus.broadcast(message, this);
    }
  }
  raiseError(error) {
    const { state } = this;
    const isNew = (state.errors & error) === 0;
    state.errors |= error;
    const entry = state.lvt[LVT_ERROR];
    if (!isNew || entry & LVT_MASKED) return;
    if ((entry & 255) < 16) state.errors |= ESR_RECEIVE_ILLEGAL_VECTOR;
    else this.acceptFixed(entry & 255, false);
  }
};

// emulator/devices/memory-bus.ts
var addressLimit = 2 ** 52;
var MemoryBus = class {
  constructor(unassigned) {
    this.unassigned = unassigned;
  }
  unassigned;
  ranges = [];
  last;
  /** @throws RangeError when the range is no range of physical addresses or overlaps another; the sentence names both. */
  register(base, length, block, name) {
    if (!(base >= 0 && length > 0 && base + length <= addressLimit))
      throw new RangeError(`${name}: ${hex(base, 32)} + ${hex(length, 4)} is no range of physical addresses.`);
    const other = this.overlapping(base, length);
    if (other)
      throw new RangeError(
        `${name}: addresses ${hex(base, 32)}-${hex(base + length - 1, 32)} overlap ${other.name} at ${hex(other.base, 32)}-${hex(other.base + other.length - 1, 32)}.`
      );
    const range = { base, length, end: base + length, block, name, widest: block.widestAccess ?? 4 };
    this.ranges.splice(this.firstEndingAfter(base), 0, range);
  }
  /** Removes the range that starts at `base`; false if there is none. */
  unregister(base) {
    const index2 = this.ranges.findIndex((range) => range.base === base);
    if (index2 < 0) return false;
    this.ranges.splice(index2, 1);
    this.last = void 0;
    return true;
  }
  /** A registered range that shares an address with `[base, base + length)`. */
  overlapping(base, length) {
    const range = this.ranges[this.firstEndingAfter(base)];
    return range && range.base < base + length ? range : void 0;
  }
  read(address, size) {
    const range = this.find(address);
    if (range) {
      const offset = address - range.base;
      if (size === 1 || size <= range.widest && address + size <= range.end) return range.block.read(offset, size);
    } else if (size === 1 || !this.overlapping(address, size)) return this.unassigned.read(address, size);
    const half2 = size >> 1;
    const low2 = this.read(address, half2);
    return (low2 | this.read(address + half2, half2) << 8 * half2) >>> 0;
  }
  write(address, size, value) {
    const range = this.find(address);
    if (range) {
      if (size === 1 || size <= range.widest && address + size <= range.end) {
        range.block.write(address - range.base, size, value);
        return;
      }
    } else if (size === 1 || !this.overlapping(address, size)) {
      this.unassigned.write(address, size, value);
      return;
    }
    const half2 = size >> 1;
    this.write(address, half2, value & allOnes(half2));
    this.write(address + half2, half2, value >>> 8 * half2 & allOnes(half2));
  }
  /** The map of memory-mapped registers, lowest address first. */
  describe() {
    return this.ranges.map(({ base, length, name }) => ({ base, length, name }));
  }
  find(address) {
    const last = this.last;
    if (last && address >= last.base && address < last.end) return last;
    const range = this.ranges[this.firstEndingAfter(address)];
    if (!range || address < range.base) return void 0;
    this.last = range;
    return range;
  }
  firstEndingAfter(address) {
    let low2 = 0;
    let high2 = this.ranges.length;
    while (low2 < high2) {
      const middle = low2 + high2 >> 1;
      if (this.ranges[middle].end > address) high2 = middle;
      else low2 = middle + 1;
    }
    return low2;
  }
};

// emulator/devices/pci-configuration-space.ts
var VENDOR_ID = 0;
var DEVICE_ID = 2;
var COMMAND = 4;
var STATUS = 6;
var REVISION_ID = 8;
var HEADER_TYPE = 14;
var BASE_ADDRESS_0 = 16;
var SUBSYSTEM_VENDOR_ID = 44;
var INTERRUPT_LINE = 60;
var INTERRUPT_PIN = 61;
var COMMAND_IO_SPACE = 1;
var COMMAND_MEMORY_SPACE = 2;
var PciConfigurationSpace = class {
  constructor(identity, mapper) {
    this.identity = identity;
    this.mapper = mapper;
    const { bytes, writable } = this;
    this.put(VENDOR_ID, 2, identity.vendor);
    this.put(DEVICE_ID, 2, identity.device);
    this.put(REVISION_ID, 4, (identity.classCode << 8 | (identity.revision ?? 0)) >>> 0);
    bytes[HEADER_TYPE] = identity.multifunction ? 128 : 0;
    this.put(SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendor ?? 0);
    this.put(SUBSYSTEM_VENDOR_ID + 2, 2, identity.subsystem ?? 0);
    bytes[INTERRUPT_PIN] = identity.interruptPin ?? 0;
    writable[COMMAND] = 71;
    writable[COMMAND + 1] = 5;
    this.clearedByOne[STATUS + 1] = 249;
    writable[INTERRUPT_LINE] = 255;
    for (const [number, bar] of this.bars()) {
      const offset = BASE_ADDRESS_0 + 4 * number;
      const flags = bar.space === "io" ? 1 : (bar.space === "memory64" ? 4 : 0) | (bar.prefetchable ? 8 : 0);
      this.put(offset, 4, flags);
      const mask2 = -bar.size & (bar.space === "io" ? ~3 : ~15);
      for (let i = 0; i < 4; i++) writable[offset + i] = mask2 >>> 8 * i;
      if (bar.space === "memory64") writable.fill(255, offset + 4, offset + 8);
    }
    this.initial = bytes.slice();
  }
  identity;
  mapper;
  bytes = new Uint8Array(256);
  /** Bits that the guest can set and clear. */
  writable = new Uint8Array(256);
  /** Bits that the guest clears by writing 1. */
  clearedByOne = new Uint8Array(256);
  initial;
  mapped = /* @__PURE__ */ new Map();
  blocked = /* @__PURE__ */ new Set();
  /** Called after a write by the guest that touched `[offset, offset + size)`. */
  onWrite = () => {
  };
  /** Opens `[offset, offset + mask.length)` to the guest's writes; `value` is what reset leaves there. */
  allowWrites(offset, mask2, value = []) {
    this.writable.set(mask2, offset);
    this.bytes.set(value, offset);
    this.initial.set(value, offset);
  }
  /** The 16 bits of the command register. */
  get command() {
    return this.bytes[COMMAND] | this.bytes[COMMAND + 1] << 8;
  }
  /** Where base address register `number` is decoded now; undefined when it is not. */
  baseAddress(number) {
    return this.mapped.get(number);
  }
  read(offset, size) {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.bytes[offset + i & 255];
    return value;
  }
  write(offset, size, value) {
    for (let i = 0; i < size; i++) {
      const at = offset + i & 255;
      const written = value >>> 8 * i & 255;
      const kept = this.bytes[at] & ~this.writable[at] & ~(written & this.clearedByOne[at]);
      this.bytes[at] = kept | written & this.writable[at];
    }
    this.updateMappings();
    this.onWrite(offset, size);
  }
  /** Brings the mapped ranges in line with the command and base address registers; blocked ones are tried again. */
  updateMappings() {
    for (const [number, bar] of this.bars()) {
      const wanted = this.wantedBase(number, bar);
      const present = this.mapped.get(number);
      if (present === wanted && wanted !== void 0) continue;
      if (present !== void 0) {
        this.mapped.delete(number);
        this.mapper.unmap(bar, present);
      }
      this.blocked.delete(number);
      if (wanted === void 0) continue;
      if (this.mapper.map(bar, wanted)) this.mapped.set(number, wanted);
      else this.blocked.add(number);
    }
  }
  reset() {
    this.bytes.set(this.initial);
    this.updateMappings();
  }
  save() {
    return { bytes: this.bytes.slice() };
  }
  restore(state) {
    this.bytes.set(state.bytes);
    this.updateMappings();
  }
  registers() {
    const commandNames = ["I/O", "memory", "bus master", "", "", "", "parity", "", "SERR#", "", "INTx off"];
    const views = [
      { name: "vendor ID", width: 16, value: this.read(VENDOR_ID, 2) },
      { name: "device ID", width: 16, value: this.read(DEVICE_ID, 2) },
      { name: "command", width: 16, value: this.command, meaning: bits(this.command, commandNames) },
      { name: "status", width: 16, value: this.read(STATUS, 2) },
      { name: "class and revision", width: 32, value: this.read(REVISION_ID, 4) }
    ];
    for (const [number, bar] of this.bars()) {
      const base = this.mapped.get(number);
      const blocked = this.blocked.has(number) ? ", another device is there" : "";
      views.push({
        name: `BAR${number}`,
        width: 32,
        value: this.read(BASE_ADDRESS_0 + 4 * number, 4),
        meaning: `${bar.name}, ${bar.space}, ${bar.size} bytes, ${base === void 0 ? `not decoded${blocked}` : `at ${hex(base, 32)}`}`
      });
    }
    views.push({ name: "interrupt line", width: 8, value: this.bytes[INTERRUPT_LINE] });
    return views;
  }
  /** Writes a field whatever the guest may do. */
  put(offset, size, value) {
    for (let i = 0; i < size; i++) this.bytes[offset + i] = value >>> 8 * i;
  }
  bars() {
    return Object.entries(this.identity.baseAddresses ?? {}).map(([number, bar]) => [Number(number), bar]);
  }
  wantedBase(number, bar) {
    const offset = BASE_ADDRESS_0 + 4 * number;
    const low2 = this.read(offset, 4);
    if (bar.space === "io") {
      const base2 = (low2 & ~3) >>> 0;
      return this.command & COMMAND_IO_SPACE && base2 > 0 && base2 + bar.size <= 65536 ? base2 : void 0;
    }
    if (!(this.command & COMMAND_MEMORY_SPACE)) return void 0;
    const high2 = bar.space === "memory64" ? this.read(offset + 4, 4) : 0;
    const base = high2 * 2 ** 32 + ((low2 & ~15) >>> 0);
    return base > 0 && base + bar.size !== 2 ** 32 && base + bar.size <= 2 ** 52 ? base : void 0;
  }
};

// emulator/devices/pci-host-bridge.ts
var CONFIG_ADDRESS = 0;
var RESET_CONTROL = 1;
var CONFIG_DATA = 4;
var ADDRESS_ENABLE = 2147483648;
var RESET_CPU = 4;
var PAM0 = 89;
var PAM_COUNT = 7;
var SMRAM = 114;
var PciBus = class {
  constructor(ports, memory) {
    this.ports = ports;
    this.memory = memory;
  }
  ports;
  memory;
  functions = new Array(256).fill(void 0);
  retrying = false;
  /** @throws RangeError when the place is taken or does not exist. */
  add(device, functionNumber, what) {
    const place2 = device * 8 + functionNumber;
    if (!(device >= 0 && device < 32 && functionNumber >= 0 && functionNumber < 8) || this.functions[place2])
      throw new RangeError(`${what.name} cannot be PCI device 00:${device.toString(16)}.${functionNumber}.`);
    this.functions[place2] = what;
  }
  find(device, functionNumber) {
    return this.functions[device * 8 + functionNumber];
  }
  /** The functions on the bus with their places, for a view. */
  describe() {
    return this.functions.flatMap((what, place2) => what ? [{ device: place2 >> 3, function: place2 & 7, what }] : []);
  }
  map(bar, base) {
    const space = bar.space === "io" ? this.ports : this.memory;
    if (space.overlapping(base, bar.size)) return false;
    space.register(base, bar.size, bar.block, bar.name);
    return true;
  }
  unmap(bar, base) {
    (bar.space === "io" ? this.ports : this.memory).unregister(base);
    if (this.retrying) return;
    this.retrying = true;
    for (const one2 of this.functions) one2?.configuration.updateMappings();
    this.retrying = false;
  }
};
var PciHostBridge = class {
  /**
   * @param onReset port 0xcf9 asks for a reset of the machine.
   * @param onShadow PAM0 to PAM6 have changed: who answers at 0xc0000-0xfffff (bits 4 and 0 of each half: read, bits 5 and 1: write from RAM).
   */
  constructor(bus, onReset, onShadow = () => {
  }) {
    this.bus = bus;
    this.onReset = onReset;
    this.onShadow = onShadow;
    this.configuration = new PciConfigurationSpace(
      { vendor: 32902, device: 4663, revision: 2, classCode: 393216 },
      bus
    );
    this.configuration.allowWrites(PAM0, [48, 51, 51, 51, 51, 51, 51]);
    this.configuration.allowWrites(SMRAM, [120], [2]);
    this.configuration.onWrite = (offset, size) => {
      if (offset < PAM0 + PAM_COUNT && offset + size > PAM0) this.tellShadow();
    };
    bus.add(0, 0, this);
  }
  bus;
  onReset;
  onShadow;
  name = "440FX host bridge";
  configuration;
  state = { configAddress: 0, resetControl: 0 };
  /** Only a whole dword reaches CONFIG_ADDRESS; narrower accesses are ordinary I/O (section 3.2.2.3.2). */
  read(offset, size) {
    if (offset >= CONFIG_DATA) {
      const target = this.target();
      return target ? target.configuration.read(this.register(offset), size) : allOnes(size);
    }
    if (offset === CONFIG_ADDRESS && size === 4) return this.state.configAddress;
    return offset === RESET_CONTROL && size === 1 ? this.state.resetControl : allOnes(size);
  }
  write(offset, size, value) {
    if (offset >= CONFIG_DATA) this.target()?.configuration.write(this.register(offset), size, value);
    else if (offset === CONFIG_ADDRESS && size === 4) this.state.configAddress = (value & 2164260860) >>> 0;
    else if (offset === RESET_CONTROL && size === 1) {
      const rises = value & ~this.state.resetControl & RESET_CPU;
      this.state.resetControl = value & 6;
      if (rises) this.onReset();
    }
  }
  reset() {
    this.state = { configAddress: 0, resetControl: 0 };
    this.configuration.reset();
    this.tellShadow();
  }
  save() {
    return { ...this.state, configuration: this.configuration.save() };
  }
  restore(state) {
    const { configAddress, resetControl, configuration } = state;
    this.state = { configAddress, resetControl };
    this.configuration.restore(configuration);
    this.tellShadow();
  }
  registers() {
    const pam = this.configuration.bytes.subarray(PAM0, PAM0 + PAM_COUNT);
    return [
      {
        name: "CONFIG_ADDRESS",
        width: 32,
        value: this.state.configAddress,
        meaning: this.target()?.name ?? "no function"
      },
      ...this.configuration.registers(),
      ...[...pam].map((value, i) => ({ name: `PAM${i}`, width: 8, value, meaning: "shadow RAM: read, write" }))
    ];
  }
  tellShadow() {
    this.onShadow(this.configuration.bytes.slice(PAM0, PAM0 + PAM_COUNT));
  }
  target() {
    const address = this.state.configAddress;
    if (!(address & ADDRESS_ENABLE) || address >>> 16 & 255) return void 0;
    return this.bus.find(address >>> 11 & 31, address >>> 8 & 7);
  }
  register(offset) {
    return this.state.configAddress & 252 | offset & 3;
  }
};

// emulator/devices/pic8259.ts
var COMMAND2 = 0;
var DATA3 = 1;
var ICW1 = 16;
var ICW1_IC4 = 1;
var ICW1_SNGL = 2;
var ICW1_LTIM = 8;
var ICW4_AEOI = 2;
var ICW4_SFNM = 16;
var OCW3 = 8;
var OCW3_RIS = 1;
var OCW3_RR = 2;
var OCW3_POLL = 4;
var OCW3_SMM = 32;
var OCW3_ESMM = 64;
var OCW2_ROTATE_IN_AEOI_CLEAR = 0;
var OCW2_EOI = 1;
var OCW2_NO_OPERATION = 2;
var OCW2_SPECIFIC_EOI = 3;
var OCW2_ROTATE_IN_AEOI_SET = 4;
var OCW2_ROTATE_EOI = 5;
var OCW2_SET_PRIORITY = 6;
var OCW2_ROTATE_SPECIFIC_EOI = 7;
var CASCADE = 2;
var LEVEL_ALLOWED = [248, 222];
function powerOn4() {
  return {
    lines: 0,
    edges: 0,
    isr: 0,
    imr: 255,
    elcr: 0,
    levelMode: false,
    vectorBase: 0,
    expects: 0,
    single: false,
    needsIcw4: false,
    icw3: 0,
    autoEndOfInterrupt: false,
    rotateOnAutoEnd: false,
    specialFullyNested: false,
    specialMask: false,
    lowest: 7,
    readsIsr: false,
    poll: false,
    int: false
  };
}
var Pic8259 = class {
  constructor(isMaster, drive) {
    this.isMaster = isMaster;
    this.drive = drive;
  }
  isMaster;
  drive;
  widestAccess = 1;
  state = powerOn4();
  get irr() {
    const { lines, edges } = this.state;
    const level = this.levelTriggered();
    return lines & level | edges & ~level;
  }
  setLine(input, asserted) {
    const state = this.state;
    const bit2 = 1 << input;
    if (asserted === ((state.lines & bit2) !== 0)) return;
    if (asserted) {
      state.lines |= bit2;
      state.edges |= bit2;
    } else {
      state.lines &= ~bit2;
      state.edges &= ~bit2;
    }
    this.update();
  }
  /** The INTA sequence: the input that is now in service; 7 when the request has gone (data sheet, "default IR7"). */
  acknowledge() {
    const input = this.candidate();
    if (input < 0) {
      this.update();
      return { input: 7, spurious: true };
    }
    const state = this.state;
    const bit2 = 1 << input;
    state.edges &= ~bit2;
    if (state.autoEndOfInterrupt) {
      if (state.rotateOnAutoEnd) state.lowest = input;
    } else state.isr |= bit2;
    if (state.int) {
      state.int = false;
      this.drive(false);
    }
    this.update();
    return { input, spurious: false };
  }
  vector(input) {
    return this.state.vectorBase | input;
  }
  read(offset) {
    const state = this.state;
    if (state.poll) {
      state.poll = false;
      const { input, spurious } = this.acknowledge();
      return spurious ? 0 : 128 | input;
    }
    if (offset === DATA3) return state.imr;
    return state.readsIsr ? state.isr : this.irr;
  }
  write(offset, _size, value) {
    const state = this.state;
    value &= 255;
    if (offset === COMMAND2) {
      if (value & ICW1) this.initialize(value);
      else if (value & OCW3) {
        if (value & OCW3_ESMM) state.specialMask = (value & OCW3_SMM) !== 0;
        if (value & OCW3_POLL) state.poll = true;
        else if (value & OCW3_RR) state.readsIsr = (value & OCW3_RIS) !== 0;
      } else this.operate(value >> 5, value & 7);
    } else if (state.expects === 2) {
      state.vectorBase = value & 248;
      state.expects = state.single ? state.needsIcw4 ? 4 : 0 : 3;
    } else if (state.expects === 3) {
      state.icw3 = value;
      state.expects = state.needsIcw4 ? 4 : 0;
    } else if (state.expects === 4) {
      state.autoEndOfInterrupt = (value & ICW4_AEOI) !== 0;
      state.specialFullyNested = (value & ICW4_SFNM) !== 0;
      state.expects = 0;
    } else state.imr = value;
    this.update();
  }
  /** Brings INT in line with the requests. */
  update() {
    const wanted = this.candidate() >= 0;
    if (wanted === this.state.int) return;
    this.state.int = wanted;
    this.drive(wanted);
  }
  levelTriggered() {
    return this.state.levelMode ? 255 : this.state.elcr;
  }
  initialize(value) {
    const state = this.state;
    state.edges = 0;
    state.imr = 0;
    state.isr = 0;
    state.lowest = 7;
    state.specialMask = false;
    state.readsIsr = false;
    state.poll = false;
    state.levelMode = (value & ICW1_LTIM) !== 0;
    state.single = (value & ICW1_SNGL) !== 0;
    state.needsIcw4 = (value & ICW1_IC4) !== 0;
    state.autoEndOfInterrupt = false;
    state.rotateOnAutoEnd = false;
    state.specialFullyNested = false;
    state.expects = 2;
  }
  operate(command, input) {
    const state = this.state;
    switch (command) {
      case OCW2_ROTATE_IN_AEOI_CLEAR:
      case OCW2_ROTATE_IN_AEOI_SET:
        state.rotateOnAutoEnd = command === OCW2_ROTATE_IN_AEOI_SET;
        break;
      case OCW2_EOI:
      case OCW2_ROTATE_EOI: {
        const ended = this.highest(state.specialMask ? state.isr & ~state.imr : state.isr);
        if (ended < 0) break;
        state.isr &= ~(1 << ended);
        if (command === OCW2_ROTATE_EOI) state.lowest = ended;
        break;
      }
      case OCW2_SPECIFIC_EOI:
        state.isr &= ~(1 << input);
        break;
      case OCW2_ROTATE_SPECIFIC_EOI:
        state.isr &= ~(1 << input);
        state.lowest = input;
        break;
      case OCW2_SET_PRIORITY:
        state.lowest = input;
        break;
      case OCW2_NO_OPERATION:
        break;
    }
  }
  /** The set bit of `mask` with the highest priority, or -1. */
  highest(mask2) {
    if (mask2 === 0) return -1;
    for (let i = 1; i <= 8; i++) {
      const input = this.state.lowest + i & 7;
      if (mask2 & 1 << input) return input;
    }
    return -1;
  }
  /** The input that would be acknowledged now, or -1. */
  candidate() {
    const state = this.state;
    if (state.expects !== 0) return -1;
    const requested = this.highest(this.irr & ~state.imr);
    if (requested < 0) return -1;
    let blocking = state.specialMask ? state.isr & ~state.imr : state.isr;
    if (this.isMaster && state.specialFullyNested && requested === CASCADE) blocking &= ~(1 << CASCADE);
    const inService = this.highest(blocking);
    if (inService < 0) return requested;
    const rank = (input) => input - state.lowest - 1 & 7;
    return rank(requested) < rank(inService) ? requested : -1;
  }
};
var Pic8259Pair = class {
  /** @param intr the processor's INTR pin (or LINT0 of its local APIC). */
  constructor(intr) {
    this.intr = intr;
    const master = new Pic8259(true, (asserted) => intr.set(asserted));
    const slave = new Pic8259(false, (asserted) => master.setLine(CASCADE, asserted));
    this.chips = [master, slave];
    this.master = master;
    this.slave = slave;
  }
  intr;
  name = "8259A pair";
  master;
  slave;
  /** Edge/level control registers of the PIIX3. */
  elcr = {
    widestAccess: 1,
    read: (offset) => this.chips[offset & 1].state.elcr,
    write: (offset, _size, value) => {
      const which = offset & 1;
      this.chips[which].state.elcr = value & LEVEL_ALLOWED[which];
      this.chips[which].update();
    }
  };
  chips;
  /** Input `irq`, 0 to 15; 2 is the cascade and has no outside pin. */
  line(irq) {
    if (!(irq >= 0 && irq < 16) || irq === CASCADE) throw new RangeError(`The 8259A pair has no input IRQ ${irq}.`);
    const chip = this.chips[irq >> 3];
    return { set: (asserted) => chip.setLine(irq & 7, asserted) };
  }
  /** The processor's interrupt acknowledge cycle: the vector, and the request goes in service. Spurious requests give IRQ 7 or 15. */
  acknowledge() {
    const [master, slave] = this.chips;
    const { input, spurious } = master.acknowledge();
    if (input !== CASCADE || spurious || master.state.single) return master.vector(input);
    return slave.vector(slave.acknowledge().input);
  }
  reset() {
    for (const chip of this.chips) chip.state = { ...powerOn4(), lines: chip.state.lines };
    this.chips[0].state.lines &= ~(1 << CASCADE);
    this.intr.set(false);
  }
  save() {
    return structuredClone(this.chips.map((chip) => chip.state));
  }
  restore(state) {
    const states = structuredClone(state);
    this.chips.forEach((chip, i) => {
      chip.state = states[i];
    });
    this.intr.set(this.chips[0].state.int);
  }
  registers() {
    return this.chips.flatMap((chip, i) => {
      const { state } = chip;
      const of = i === 0 ? "master" : "slave";
      const irqs = (mask2) => bits(
        mask2,
        [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `IRQ${n + 8 * i}`)
      );
      const modes = [
        state.autoEndOfInterrupt ? "automatic EOI" : "",
        state.specialFullyNested ? "special fully nested" : "",
        state.specialMask ? "special mask" : "",
        state.levelMode ? "level triggered" : "",
        state.expects ? `waits for ICW${state.expects}` : "",
        `lowest priority IRQ${state.lowest + 8 * i}`
      ];
      return [
        { name: `${of} IRR`, width: 8, value: chip.irr, meaning: irqs(chip.irr) },
        { name: `${of} ISR`, width: 8, value: state.isr, meaning: irqs(state.isr) },
        { name: `${of} IMR`, width: 8, value: state.imr, meaning: `masked: ${irqs(state.imr)}` },
        { name: `${of} ICW2`, width: 8, value: state.vectorBase, meaning: "vector base" },
        { name: `${of} ICW3`, width: 8, value: state.icw3, meaning: "cascade" },
        { name: `${of} ELCR`, width: 8, value: state.elcr, meaning: `level: ${irqs(state.elcr)}` },
        { name: `${of} INT`, width: 1, value: state.int ? 1 : 0, meaning: modes.filter(Boolean).join(", ") }
      ];
    });
  }
};

// emulator/devices/piix3-isa-bridge.ts
var PIRQRC = 96;
var PIRQRC_DISABLED = 128;
var ROUTABLE = 57080;
var XBCS = 78;
var TOM = 105;
var Piix3IsaBridge = class {
  /** @param isaLine the input for an ISA interrupt; with PIRQs on it, shared and level triggered. */
  constructor(bus, isaLine) {
    this.isaLine = isaLine;
    this.configuration = new PciConfigurationSpace(
      { vendor: 32902, device: 28672, classCode: 393472, multifunction: true },
      bus
    );
    this.configuration.allowWrites(PIRQRC, [143, 143, 143, 143], [128, 128, 128, 128]);
    this.configuration.allowWrites(XBCS, [255, 1], [3, 0]);
    this.configuration.allowWrites(TOM, [254], [2]);
    this.configuration.onWrite = (offset, size) => {
      if (offset < PIRQRC + 4 && offset + size > PIRQRC) this.drive();
    };
    bus.add(1, 0, this);
  }
  isaLine;
  name = "PIIX3 ISA bridge";
  configuration;
  asserted = nothingAsserted();
  /** The interrupt line of a function: `pin` 1 to 4 for INTA# to INTD#. The board turns the pins from slot to slot. */
  line(device, functionNumber, pin) {
    const pirq = pin - 1 + device - 1 & 3;
    return {
      set: (asserted) => {
        const row = this.asserted[pirq];
        const bit2 = 1 << (device & 31);
        const before2 = row[functionNumber & 7];
        const after = asserted ? before2 | bit2 : before2 & ~bit2;
        if (after === before2) return;
        row[functionNumber & 7] = after;
        this.drive();
      }
    };
  }
  /** The ISA interrupt that PIRQ 0 to 3 (A to D) goes to; undefined when it is not routed. */
  route(pirq) {
    const value = this.configuration.bytes[PIRQRC + pirq];
    const irq = value & 15;
    return value & PIRQRC_DISABLED || !(ROUTABLE >> irq & 1) ? void 0 : irq;
  }
  reset() {
    this.configuration.reset();
    this.drive();
  }
  save() {
    return structuredClone({ asserted: this.asserted, configuration: this.configuration.save() });
  }
  restore(state) {
    const { asserted, configuration } = structuredClone(state);
    this.asserted = asserted;
    this.configuration.restore(configuration);
    this.drive();
  }
  registers() {
    const routes = [0, 1, 2, 3].map((pirq) => {
      const irq = this.route(pirq);
      const asserted = this.asserted[pirq].some((mask2) => mask2 !== 0) ? ", asserted" : "";
      return {
        name: `PIRQRC${"ABCD"[pirq]}`,
        width: 8,
        value: this.configuration.bytes[PIRQRC + pirq],
        meaning: `${irq === void 0 ? "not routed" : `IRQ ${irq}`}${asserted}`
      };
    });
    return [...this.configuration.registers(), ...routes];
  }
  drive() {
    let level = 0;
    for (let pirq = 0; pirq < 4; pirq++) {
      const irq = this.route(pirq);
      if (irq !== void 0 && this.asserted[pirq].some((mask2) => mask2 !== 0)) level |= 1 << irq;
    }
    for (let irq = 0; irq < 16; irq++) if (ROUTABLE >> irq & 1) this.isaLine(irq).set((level >> irq & 1) === 1);
  }
};
function nothingAsserted() {
  return [0, 1, 2, 3].map(() => new Array(8).fill(0));
}

// emulator/devices/pit-counter.ts
function pitCounterAtPowerOn(gate) {
  return {
    control: 48,
    count: 0,
    firstByte: null,
    readHigh: false,
    latchedCount: null,
    latchedStatus: null,
    running: null,
    loaded: 0,
    held: null,
    takeover: null,
    gate
  };
}
var RW_LOW = 1;
var RW_HIGH = 2;
var PitCounter = class _PitCounter {
  constructor(state) {
    this.state = state;
  }
  state;
  /** 0 to 5; modes 6 and 7 are 2 and 3 (data sheet, "Control Word Format": M2 is don't care for them). */
  get mode() {
    const mode = this.state.control >> 1 & 7;
    return mode > 5 ? mode - 4 : mode;
  }
  get readWrite() {
    return this.state.control >> 4 & 3;
  }
  get modulus() {
    return this.state.control & 1 ? 1e4 : 65536;
  }
  /** The number of clocks that the written count stands for; 0 is the largest. */
  decode(count) {
    if (!(this.state.control & 1)) return count || 65536;
    let value = 0;
    for (let shift3 = 12; shift3 >= 0; shift3 -= 4) value = value * 10 + (count >> shift3 & 15);
    return value || 1e4;
  }
  encode(value) {
    if (!(this.state.control & 1)) return value & 65535;
    let count = 0;
    for (let shift3 = 0; shift3 < 16; shift3 += 4) {
      count |= value % 10 << shift3;
      value = Math.trunc(value / 10);
    }
    return count;
  }
  writeControl(control) {
    const gate = this.state.gate;
    this.state = { ...pitCounterAtPowerOn(gate), control: control & 63 };
  }
  latchCount(tick) {
    if (this.state.latchedCount === null) this.state.latchedCount = this.countAt(tick);
  }
  latchStatus(tick) {
    const { state } = this;
    if (state.latchedStatus === null) state.latchedStatus = this.status(tick);
  }
  /** Status byte: OUT, null count, control (data sheet, "Status Byte"). */
  status(tick) {
    this.settle(tick);
    const { state } = this;
    const nullCount = state.running === null || state.takeover !== null || tick < state.loaded;
    return (this.output(tick) ? 128 : 0) | (nullCount ? 64 : 0) | state.control;
  }
  read(tick) {
    const { state } = this;
    if (state.latchedStatus !== null) {
      const status = state.latchedStatus;
      state.latchedStatus = null;
      return status;
    }
    const count = state.latchedCount ?? this.countAt(tick);
    if (this.readWrite === RW_LOW || this.readWrite === RW_HIGH) {
      state.latchedCount = null;
      return this.readWrite === RW_LOW ? count & 255 : count >> 8;
    }
    if (state.readHigh) {
      state.readHigh = false;
      state.latchedCount = null;
      return count >> 8;
    }
    state.readHigh = true;
    return count & 255;
  }
  writeCount(tick, value) {
    const { state } = this;
    this.settle(tick);
    if (this.readWrite === RW_LOW) this.load(tick, value);
    else if (this.readWrite === RW_HIGH) this.load(tick, value << 8);
    else if (state.firstByte === null) {
      state.firstByte = value;
      if (this.mode === 0) state.running = null;
    } else {
      const low2 = state.firstByte;
      state.firstByte = null;
      this.load(tick, low2 | value << 8);
    }
  }
  load(tick, count) {
    const { state } = this;
    state.count = count;
    const mode = this.mode;
    if (mode === 1 || mode === 5) return;
    if ((mode === 2 || mode === 3) && state.running !== null) {
      if (state.gate) state.takeover = this.nextBoundary(tick);
      return;
    }
    state.running = count;
    state.loaded = tick + 1;
    state.held = state.gate ? null : 0;
  }
  /** The level at the GATE pin changes. */
  setGate(tick, level) {
    const { state } = this;
    this.settle(tick);
    if (level === state.gate) return;
    state.gate = level;
    const mode = this.mode;
    if (mode === 0 || mode === 4) {
      if (state.running === null) return;
      if (!level) state.held = Math.max(tick - state.loaded, 0);
      else if (state.held !== null) {
        state.loaded = tick - state.held + (state.held === 0 ? 1 : 0);
        state.held = null;
      }
    } else if (mode === 1 || mode === 5) {
      if (level) {
        state.running = state.count;
        state.loaded = tick + 1;
      }
    } else if (state.running !== null) {
      if (level) {
        state.running = state.count;
        state.loaded = tick + 1;
        state.held = null;
        state.takeover = null;
      } else state.held = Math.max(tick - state.loaded, 0);
    }
  }
  /** OUT at `tick`. */
  output(tick) {
    this.settle(tick);
    const { state } = this;
    const mode = this.mode;
    if (state.running === null) return mode !== 0;
    const clocks = this.decode(state.running);
    const elapsed = state.held ?? tick - state.loaded;
    switch (mode) {
      case 0:
      case 1:
        return elapsed >= clocks;
      case 2:
        return !state.gate || elapsed < 0 || clocks === 1 || elapsed % clocks !== clocks - 1;
      case 3:
        return !state.gate || elapsed < 0 || elapsed % clocks < clocks + 1 >> 1;
      default:
        return elapsed !== clocks;
    }
  }
  /** The first tick after `tick` at which OUT may differ from OUT at `tick`; Infinity if it stays as it is. */
  nextChange(tick) {
    this.settle(tick);
    return Math.min(this.nextEdge(tick), this.state.takeover ?? Number.POSITIVE_INFINITY);
  }
  /** The state with everything that is due by `tick` done: equal for equal behaviour from here on. */
  settled(tick) {
    const copy = new _PitCounter({ ...this.state });
    copy.settle(tick);
    return copy.state;
  }
  nextEdge(tick) {
    const { state } = this;
    if (state.running === null || state.held !== null) return Number.POSITIVE_INFINITY;
    const clocks = this.decode(state.running);
    const elapsed = tick - state.loaded;
    const at = (moment) => state.loaded + moment > tick ? state.loaded + moment : Number.POSITIVE_INFINITY;
    switch (this.mode) {
      case 0:
      case 1:
        return at(clocks);
      case 2: {
        if (clocks === 1) return Number.POSITIVE_INFINITY;
        const phase = elapsed < 0 ? elapsed : elapsed % clocks;
        return tick - phase + (phase < clocks - 1 ? clocks - 1 : clocks);
      }
      case 3: {
        if (clocks === 1) return Number.POSITIVE_INFINITY;
        const high2 = clocks + 1 >> 1;
        const phase = elapsed < 0 ? elapsed : elapsed % clocks;
        return tick - phase + (phase < high2 ? high2 : clocks);
      }
      default:
        return Math.min(at(clocks), at(clocks + 1));
    }
  }
  /** The counting element as a read sees it. */
  countAt(tick) {
    this.settle(tick);
    const { state } = this;
    const { modulus } = this;
    if (state.running === null) return state.count;
    const clocks = this.decode(state.running);
    const elapsed = Math.max(state.held ?? tick - state.loaded, 0);
    if (this.mode === 2) return this.encode((clocks - elapsed % clocks) % modulus);
    if (this.mode === 3) {
      const high2 = clocks + 1 >> 1;
      const phase = elapsed % clocks;
      const steps = phase < high2 ? phase : phase - high2;
      return this.encode(((clocks & ~1) - 2 * steps) % modulus);
    }
    const remaining = (clocks - elapsed) % modulus;
    return this.encode(remaining < 0 ? remaining + modulus : remaining);
  }
  /** The end of the running period (mode 2) or half period (mode 3). */
  nextBoundary(tick) {
    const { state } = this;
    const clocks = this.decode(state.running);
    const elapsed = tick - state.loaded;
    if (elapsed < 0) return state.loaded;
    const phase = elapsed % clocks;
    const half2 = clocks + 1 >> 1;
    return tick - phase + (this.mode === 3 && phase < half2 && clocks > 1 ? half2 : clocks);
  }
  /** Lets a count that was written while a period ran take over, if its moment has come. */
  settle(tick) {
    const { state } = this;
    if (state.takeover === null || tick < state.takeover || state.running === null) return;
    const clocks = this.decode(state.running);
    const atHalf = this.mode === 3 && clocks > 1 && (state.takeover - state.loaded) % clocks !== 0 && state.takeover > state.loaded;
    const next = this.decode(state.count);
    state.running = state.count;
    state.loaded = atHalf ? state.takeover - (next + 1 >> 1) : state.takeover;
    state.takeover = null;
  }
};

// emulator/devices/pit8254.ts
var PIT_HERTZ = 1193182;
var CONTROL = 3;
var READ_BACK = 3;
var READ_BACK_NO_COUNT = 32;
var READ_BACK_NO_STATUS = 16;
var readWriteNames = ["latch", "low byte", "high byte", "low then high byte"];
var modeNames = [
  "interrupt on terminal count",
  "hardware retriggerable one-shot",
  "rate generator",
  "square wave",
  "software triggered strobe",
  "hardware triggered strobe"
];
function powerOn5() {
  return { counters: [pitCounterAtPowerOn(true), pitCounterAtPowerOn(true), pitCounterAtPowerOn(false)] };
}
var Pit8254 = class {
  constructor(clock, irq0) {
    this.clock = clock;
    this.irq0 = irq0;
    this.setState(powerOn5());
  }
  clock;
  irq0;
  name = "8254";
  widestAccess = 1;
  rate = new TickRate(PIT_HERTZ);
  counters = [];
  alarm;
  read(offset) {
    if (offset === CONTROL) return 255;
    return this.counters[offset].read(this.tick());
  }
  write(offset, _size, value) {
    const tick = this.tick();
    if (offset !== CONTROL) {
      this.counters[offset].writeCount(tick, value);
      if (offset === 0) this.follow();
      return;
    }
    const selected2 = value >> 6;
    if (selected2 === READ_BACK) {
      for (let i = 0; i < 3; i++) {
        if (!(value & 2 << i)) continue;
        if (!(value & READ_BACK_NO_COUNT)) this.counters[i].latchCount(tick);
        if (!(value & READ_BACK_NO_STATUS)) this.counters[i].latchStatus(tick);
      }
    } else if ((value & 48) === 0) this.counters[selected2].latchCount(tick);
    else {
      this.counters[selected2].writeControl(value);
      if (selected2 === 0) this.follow();
    }
  }
  /** The level at OUT of counter 0, 1 or 2. */
  output(counter2) {
    return new PitCounter({ ...this.counters[counter2].state }).output(this.tick());
  }
  get gate2() {
    return this.counters[2].state.gate;
  }
  setGate2(level) {
    this.counters[2].setGate(this.tick(), level);
  }
  reset() {
    this.setState(powerOn5());
    this.follow();
  }
  save() {
    const tick = this.tick();
    return { counters: this.counters.map((counter2) => counter2.settled(tick)) };
  }
  restore(state) {
    this.setState(structuredClone(state));
    this.follow();
  }
  registers() {
    const tick = this.tick();
    return this.counters.flatMap(({ state }, i) => {
      const counter2 = new PitCounter({ ...state });
      const out = counter2.output(tick) ? "high" : "low";
      const { control } = state;
      const how = `mode ${counter2.mode}: ${modeNames[counter2.mode]}, ${readWriteNames[control >> 4 & 3]}, ${control & 1 ? "BCD" : "binary"}`;
      return [
        { name: `counter ${i} count`, width: 16, value: counter2.countAt(tick), meaning: `OUT ${out}` },
        { name: `counter ${i} reload`, width: 16, value: state.count, meaning: `GATE ${state.gate ? "high" : "low"}` },
        { name: `counter ${i} status`, width: 8, value: counter2.status(tick), meaning: how }
      ];
    });
  }
  tick() {
    return this.rate.ticksAt(this.clock.now());
  }
  setState(state) {
    this.counters = state.counters.map((counter2) => new PitCounter(counter2));
  }
  /** Drives IRQ 0 from OUT 0 and asks for an alarm at its next edge. */
  follow() {
    this.alarm?.cancel();
    this.alarm = void 0;
    const tick = this.tick();
    const counter2 = this.counters[0];
    this.irq0.set(counter2.output(tick));
    const next = counter2.nextChange(tick);
    if (next !== Number.POSITIVE_INFINITY) this.alarm = this.clock.at(this.rate.timeOfTick(next), () => this.follow());
  }
};

// emulator/devices/post-code.ts
var PostCode = class {
  name = "POST code";
  widestAccess = 1;
  state = { code: 0 };
  read() {
    return this.state.code;
  }
  write(_offset, _size, value) {
    this.state.code = value & 255;
  }
  reset() {
    this.state = { code: 0 };
  }
  save() {
    return { ...this.state };
  }
  restore(state) {
    this.state = { ...state };
  }
  registers() {
    return [{ name: "code", width: 8, value: this.state.code }];
  }
};

// emulator/devices/rtc-calendar.ts
var SECONDS = 0;
var SECONDS_ALARM = 1;
var MINUTES = 2;
var MINUTES_ALARM = 3;
var HOURS = 4;
var HOURS_ALARM = 5;
var DAY_OF_WEEK = 6;
var DAY_OF_MONTH = 7;
var MONTH = 8;
var YEAR = 9;
var CENTURY = 50;
var timeAddresses = [SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY_OF_MONTH, MONTH, YEAR, CENTURY];
var PM = 128;
var secondsPerDay = 86400;
function toByte(value, format) {
  return format.binary ? value : Math.trunc(value / 10) << 4 | value % 10;
}
function fromByte(byte, format) {
  return format.binary ? byte : (byte >> 4) * 10 + (byte & 15);
}
function hourFromByte(byte, format) {
  if (format.hours24) return fromByte(byte, format);
  return fromByte(byte & ~PM, format) % 12 + (byte & PM ? 12 : 0);
}
function hourToByte(hour, format) {
  if (format.hours24) return toByte(hour, format);
  return toByte(hour % 12 || 12, format) | (hour >= 12 ? PM : 0);
}
function timeBytes(seconds, weekdayShift, format) {
  const date = new Date(seconds * 1e3);
  const year = (date.getUTCFullYear() % 1e4 + 1e4) % 1e4;
  return [
    toByte(date.getUTCSeconds(), format),
    toByte(date.getUTCMinutes(), format),
    hourToByte(date.getUTCHours(), format),
    (date.getUTCDay() + weekdayShift) % 7 + 1,
    toByte(date.getUTCDate(), format),
    toByte(date.getUTCMonth() + 1, format),
    toByte(year % 100, format),
    toByte(Math.trunc(year / 100), format)
  ];
}
function momentOf(bytes, format) {
  const number = (index2) => fromByte(bytes[index2], format);
  const date = /* @__PURE__ */ new Date(0);
  date.setUTCFullYear(number(7) * 100 + number(6), number(5) - 1, number(4));
  const midnight = date.getTime() / 1e3;
  const seconds = midnight + hourFromByte(bytes[2], format) * 3600 + number(1) * 60 + number(0);
  const weekday = new Date(Math.floor(seconds / secondsPerDay) * secondsPerDay * 1e3).getUTCDay();
  return { seconds, weekdayShift: ((bytes[3] - 1 - weekday) % 7 + 7) % 7 };
}
function nextAlarmSecond(seconds, alarm, format) {
  const matcher = (byte, value) => (byte & 192) === 192 ? void 0 : value;
  const wanted = {
    second: matcher(alarm.seconds, fromByte(alarm.seconds, format)),
    minute: matcher(alarm.minutes, fromByte(alarm.minutes, format)),
    hour: matcher(alarm.hours, hourFromByte(alarm.hours, format))
  };
  const midnight = Math.floor((seconds + 1) / secondsPerDay) * secondsPerDay;
  const inDay = (from) => {
    for (let hour = Math.floor(from / 3600); hour < 24; hour++) {
      if (wanted.hour !== void 0 && wanted.hour !== hour) continue;
      const firstMinute = hour * 60 >= from / 60 ? 0 : Math.floor(from % 3600 / 60);
      for (let minute = firstMinute; minute < 60; minute++) {
        if (wanted.minute !== void 0 && wanted.minute !== minute) continue;
        const start = hour * 3600 + minute * 60;
        const firstSecond = start >= from ? 0 : from - start;
        const second2 = wanted.second ?? firstSecond;
        if (second2 >= firstSecond && second2 < 60) return start + second2;
      }
    }
    return void 0;
  };
  const today = inDay(seconds + 1 - midnight);
  if (today !== void 0) return midnight + today;
  const tomorrow = inDay(0);
  return tomorrow === void 0 ? void 0 : midnight + secondsPerDay + tomorrow;
}

// emulator/devices/rtc-mc146818.ts
var INDEX = 0;
var NMI_MASK = 128;
var REGISTER_A = 10;
var REGISTER_B = 11;
var REGISTER_C = 12;
var REGISTER_D = 13;
var A_UIP = 128;
var A_DIVIDER = 112;
var A_DIVIDER_RUNS = 32;
var B_24_HOURS = 2;
var B_BINARY = 4;
var B_SQUARE_WAVE = 8;
var B_UPDATE = 16;
var B_ALARM = 32;
var B_PERIODIC = 64;
var B_SET = 128;
var C_IRQ = 128;
var D_VALID = 128;
var second = 1e9;
var updateNanoseconds = 2228e3;
var half = second / 2;
var defaultStartSeconds = 1704067200;
var RtcMc146818 = class {
  constructor(clock, irq8, configuration) {
    this.clock = clock;
    this.irq8 = irq8;
    this.state = {
      index: 0,
      nmiMasked: false,
      bytes: cmosBytes(configuration),
      flags: 0,
      flagsTime: 0,
      base: configuration.startSeconds ?? defaultStartSeconds,
      origin: 0,
      weekdayShift: 0
    };
  }
  clock;
  irq8;
  name = "MC146818";
  widestAccess = 1;
  oscillator = new TickRate(32768);
  state;
  alarm;
  /** Bit 7 of port 0x70: NMI does not reach the processor. */
  get nmiMasked() {
    return this.state.nmiMasked;
  }
  /** Sets a byte of the CMOS memory, as firmware set-up does; the time bytes and registers A to D are not for this. */
  setByte(address, value) {
    this.state.bytes[address & 127] = value;
  }
  /** Port 0x70 cannot be read back. */
  read(offset) {
    if (offset === INDEX) return 255;
    const { state } = this;
    const value = this.peek(state.index);
    if (state.index === REGISTER_C) {
      this.settle();
      state.flags = 0;
      this.drive();
    }
    return value;
  }
  write(offset, _size, value) {
    const { state } = this;
    if (offset === INDEX) {
      state.nmiMasked = (value & NMI_MASK) !== 0;
      state.index = value & 127;
      return;
    }
    const { index: index2 } = state;
    this.settle();
    if (index2 === REGISTER_A) this.writeA(value);
    else if (index2 === REGISTER_B) this.writeB(value);
    else if (index2 === REGISTER_C || index2 === REGISTER_D) return;
    else if (this.isTime(index2) && !this.set) this.writeTime(index2, value);
    else state.bytes[index2] = value;
    this.drive();
  }
  /** The RESET pin: interrupts off, flags clear; time and memory are kept by the battery. */
  reset() {
    const { state } = this;
    this.settle();
    state.bytes[REGISTER_B] &= ~(B_PERIODIC | B_ALARM | B_UPDATE | B_SQUARE_WAVE);
    state.flags = 0;
    state.nmiMasked = false;
    this.drive();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
    this.drive();
  }
  registers() {
    const { state } = this;
    const a = this.peek(REGISTER_A);
    const b = state.bytes[REGISTER_B];
    const c = this.peek(REGISTER_C);
    const shown = this.shown();
    const moment = momentOf(shown, this.format).seconds;
    const date = new Date(moment * 1e3);
    return [
      { name: "index", width: 7, value: state.index, meaning: state.nmiMasked ? "NMI masked" : "" },
      { name: "time", width: 64, value: BigInt(moment), meaning: date.toISOString().replace(".000", "") },
      { name: "A", width: 8, value: a, meaning: a & A_UIP ? "update in progress" : "" },
      {
        name: "B",
        width: 8,
        value: b,
        meaning: bits(b, ["DSE", "24 hours", "binary", "SQWE", "UIE", "AIE", "PIE", "SET"])
      },
      { name: "C", width: 8, value: c, meaning: bits(c, ["", "", "", "", "update", "alarm", "periodic", "IRQ"]) },
      { name: "D", width: 8, value: D_VALID, meaning: "valid RAM and time" },
      ...[SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM].map((address, i) => ({
        name: ["seconds alarm", "minutes alarm", "hours alarm"][i],
        width: 8,
        value: state.bytes[address]
      }))
    ];
  }
  get format() {
    const b = this.state.bytes[REGISTER_B];
    return { binary: (b & B_BINARY) !== 0, hours24: (b & B_24_HOURS) !== 0 };
  }
  get set() {
    return (this.state.bytes[REGISTER_B] & B_SET) !== 0;
  }
  get running() {
    return (this.state.bytes[REGISTER_A] & A_DIVIDER) === A_DIVIDER_RUNS;
  }
  isTime(address) {
    return timeAddresses.includes(address);
  }
  /** Whole seconds of the divider since the origin. */
  elapsed(time) {
    return this.running ? Math.floor((time - this.state.origin) / second) : 0;
  }
  shown() {
    const { state } = this;
    if (this.set) return timeAddresses.map((address) => state.bytes[address]);
    return timeBytes(state.base + this.elapsed(this.clock.now()), state.weekdayShift, this.format);
  }
  /** A byte as the guest reads it, without the side effect of register C. */
  peek(address) {
    const { bytes } = this.state;
    if (this.isTime(address)) return this.shown()[timeAddresses.indexOf(address)];
    if (address === REGISTER_A) {
      const inSecond = (this.clock.now() - this.state.origin) % second;
      const updating = this.running && !this.set && inSecond >= second - updateNanoseconds;
      return bytes[REGISTER_A] | (updating ? A_UIP : 0);
    }
    if (address === REGISTER_C) {
      const flags = this.flags();
      return flags | (flags & bytes[REGISTER_B] ? C_IRQ : 0);
    }
    return address === REGISTER_D ? D_VALID : bytes[address];
  }
  writeA(value) {
    const { state } = this;
    const ran = this.running;
    const now = this.clock.now();
    const runs = (value & A_DIVIDER) === A_DIVIDER_RUNS;
    if (ran && !runs) state.base += this.elapsed(now);
    state.bytes[REGISTER_A] = value & ~A_UIP;
    if (!ran && runs) state.origin = now - half;
  }
  writeB(value) {
    const { state } = this;
    const wasSet = this.set;
    if (!wasSet && value & B_SET) {
      const shown2 = this.shown();
      timeAddresses.forEach((address, i) => {
        state.bytes[address] = shown2[i];
      });
      value &= ~B_UPDATE;
    }
    const shown = wasSet && !(value & B_SET) ? timeAddresses.map((address) => state.bytes[address]) : void 0;
    state.bytes[REGISTER_B] = value;
    if (shown) this.take(shown);
  }
  writeTime(address, value) {
    const shown = this.shown();
    shown[timeAddresses.indexOf(address)] = value;
    this.take(shown);
  }
  /** The time goes on from these bytes; the divider keeps its phase. */
  take(shown) {
    const { state } = this;
    const { seconds, weekdayShift } = momentOf(shown, this.format);
    state.base = seconds - this.elapsed(this.clock.now());
    state.weekdayShift = weekdayShift;
  }
  /** Ticks of the 32.768 kHz oscillator between periodic interrupts; 0 is none (data sheet, table 4). */
  get period() {
    const rate = this.state.bytes[REGISTER_A] & 15;
    if (rate === 0 || !this.running) return 0;
    return rate < 3 ? 64 << rate : 1 << rate - 1;
  }
  periods(time) {
    const { period } = this;
    return period === 0 ? 0 : Math.floor(this.oscillator.ticksAt(time - this.state.origin) / period);
  }
  nextMatch(after) {
    const { bytes } = this.state;
    const alarm = { seconds: bytes[SECONDS_ALARM], minutes: bytes[MINUTES_ALARM], hours: bytes[HOURS_ALARM] };
    return nextAlarmSecond(after, alarm, this.format);
  }
  /** The flags of register C now. */
  flags() {
    const { state } = this;
    const now = this.clock.now();
    let { flags } = state;
    if (this.periods(now) !== this.periods(state.flagsTime)) flags |= B_PERIODIC;
    const before2 = this.elapsed(state.flagsTime);
    const after = this.elapsed(now);
    if (this.set || before2 === after) return flags;
    flags |= B_UPDATE;
    const match = this.nextMatch(state.base + before2);
    if (match !== void 0 && match <= state.base + after) flags |= B_ALARM;
    return flags;
  }
  settle() {
    this.state.flags = this.flags();
    this.state.flagsTime = this.clock.now();
  }
  /** Drives IRQ 8 and asks for the alarm of the next enabled event. */
  drive() {
    this.alarm?.cancel();
    this.alarm = void 0;
    const { state } = this;
    const enabled = state.bytes[REGISTER_B];
    const asserted = (this.flags() & enabled & (B_PERIODIC | B_ALARM | B_UPDATE)) !== 0;
    this.irq8.set(asserted);
    if (asserted || !this.running) return;
    const now = this.clock.now();
    let next = Number.POSITIVE_INFINITY;
    if (enabled & B_PERIODIC && this.period > 0)
      next = state.origin + this.oscillator.timeOfTick((this.periods(now) + 1) * this.period);
    if (!this.set) {
      if (enabled & B_UPDATE) next = Math.min(next, state.origin + (this.elapsed(now) + 1) * second);
      const match = enabled & B_ALARM ? this.nextMatch(state.base + this.elapsed(now)) : void 0;
      if (match !== void 0) next = Math.min(next, state.origin + (match - state.base) * second);
    }
    if (Number.isSafeInteger(next)) this.alarm = this.clock.at(next, () => this.drive());
  }
};
function cmosBytes({ memoryBytes, memoryAbove4GiB = 0 }) {
  const bytes = new Uint8Array(128);
  const put = (address, value, count = 2) => {
    for (let i = 0; i < count; i++) bytes[address + i] = Math.floor(value / 256 ** i) % 256;
  };
  const above = (base, unit) => Math.max(0, Math.floor((memoryBytes - base) / unit));
  bytes[REGISTER_A] = A_DIVIDER_RUNS | 6;
  bytes[REGISTER_B] = B_24_HOURS;
  bytes[REGISTER_D] = D_VALID;
  bytes[CENTURY] = 32;
  bytes[20] = 34;
  put(21, Math.min(640, Math.floor(memoryBytes / 1024)));
  const extended2 = Math.min(65535, above(1048576, 1024));
  put(23, extended2);
  put(48, extended2);
  put(52, Math.min(65535, above(16777216, 65536)));
  put(91, Math.min(16777215, Math.floor(memoryAbove4GiB / 65536)), 3);
  let sum = 0;
  for (let address = 16; address <= 45; address++) sum += bytes[address];
  bytes[46] = sum >> 8;
  bytes[47] = sum & 255;
  return bytes;
}

// emulator/devices/shared-interrupt-line.ts
var SharedInterruptLine = class {
  constructor(output) {
    this.output = output;
  }
  output;
  asserted = /* @__PURE__ */ new Set();
  drivers = 0;
  /** One more driver of the line. */
  driver() {
    const number = this.drivers++;
    return {
      set: (asserted) => {
        if (asserted) this.asserted.add(number);
        else this.asserted.delete(number);
        this.output.set(this.asserted.size > 0);
      }
    };
  }
};

// emulator/devices/system-control-port-b.ts
var TIMER_2_GATE = 1;
var WRITABLE2 = 15;
var REFRESH = 16;
var TIMER_2_OUT = 32;
var refreshNanoseconds = 15085;
var SystemControlPortB = class {
  constructor(clock, timer) {
    this.clock = clock;
    this.timer = timer;
  }
  clock;
  timer;
  name = "System control port B";
  widestAccess = 1;
  state = { control: 0 };
  /** Bits 6 and 7 (IOCHK#, SERR#) read 0: no device here reports such errors. */
  read() {
    const refresh = Math.floor(this.clock.now() / refreshNanoseconds) & 1 ? REFRESH : 0;
    return this.state.control | refresh | (this.timer.output(2) ? TIMER_2_OUT : 0);
  }
  write(_offset, _size, value) {
    this.state.control = value & WRITABLE2;
    this.timer.setGate2((value & TIMER_2_GATE) !== 0);
  }
  reset() {
    this.write(0, 1, 0);
  }
  save() {
    return { ...this.state };
  }
  /** The timer restores its own gate. */
  restore(state) {
    this.state = { ...state };
  }
  registers() {
    const value = this.read();
    const names2 = ["gate 2", "speaker", "PERR# off", "IOCHK# off", "refresh", "OUT 2", "IOCHK#", "SERR#"];
    return [{ name: "NMISC", width: 8, value, meaning: bits(value, names2) }];
  }
};

// emulator/devices/uart16550.ts
var RBR_THR_DLL = 0;
var IER_DLM = 1;
var IIR_FCR = 2;
var LCR = 3;
var MCR = 4;
var LSR = 5;
var MSR = 6;
var SCR = 7;
var IER_RECEIVED_DATA = 1;
var IER_THR_EMPTY = 2;
var IER_LINE_STATUS = 4;
var IER_MODEM_STATUS = 8;
var IIR_NONE = 1;
var IIR_MODEM_STATUS = 0;
var IIR_THR_EMPTY = 2;
var IIR_RECEIVED_DATA = 4;
var IIR_LINE_STATUS = 6;
var IIR_CHARACTER_TIMEOUT = 12;
var IIR_FIFOS_ENABLED = 192;
var FCR_ENABLE = 1;
var FCR_CLEAR_RECEIVER = 2;
var LCR_BREAK = 64;
var LCR_DLAB = 128;
var MCR_OUT2 = 8;
var MCR_LOOP = 16;
var LSR_DATA_READY = 1;
var LSR_OVERRUN = 2;
var LSR_BREAK = 16;
var LSR_THR_EMPTY = 32;
var LSR_TRANSMITTER_EMPTY = 64;
var LSR_ERRORS = 30;
var MSR_CTS = 16;
var MSR_DSR = 32;
var MSR_RI = 64;
var MSR_DCD = 128;
var fifoDepth = 16;
var triggerLevels = [1, 4, 8, 14];
var queueLimit = 4096;
function powerOn6() {
  return {
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: 0,
    scr: 0,
    divisor: 0,
    errors: 0,
    fifo: [],
    queue: [],
    msr: MSR_CTS | MSR_DSR | MSR_DCD,
    thrEmptyPending: false
  };
}
var Uart16550 = class {
  /**
   * @param transmit called with each byte sent.
   * @param name for example "16550A COM1".
   */
  constructor(irq, transmit, name = "16550A COM1") {
    this.irq = irq;
    this.transmit = transmit;
    this.name = name;
  }
  irq;
  transmit;
  name;
  widestAccess = 1;
  state = powerOn6();
  /** Bytes arrive on the line. Returns how many were taken; the caller keeps the rest and offers it again (4096 may wait here). */
  receive(bytes) {
    const { queue } = this.state;
    const taken = Math.min(bytes.length, queueLimit - queue.length);
    for (let i = 0; i < taken; i++) queue.push(bytes[i] & 255);
    this.update();
    return taken;
  }
  read(offset) {
    const state = this.state;
    switch (offset) {
      case RBR_THR_DLL: {
        if (state.lcr & LCR_DLAB) return state.divisor & 255;
        const byte = state.fifo.shift() ?? 0;
        this.update();
        return byte;
      }
      case IER_DLM:
        return state.lcr & LCR_DLAB ? state.divisor >> 8 : state.ier;
      case IIR_FCR: {
        const iir = this.iir();
        if ((iir & 15) === IIR_THR_EMPTY) {
          state.thrEmptyPending = false;
          this.update();
        }
        return iir;
      }
      case LCR:
        return state.lcr;
      case MCR:
        return state.mcr;
      case LSR: {
        const lsr = this.lsr();
        state.errors = 0;
        this.update();
        return lsr;
      }
      case MSR: {
        const msr = state.msr;
        state.msr &= 240;
        this.update();
        return msr;
      }
      default:
        return state.scr;
    }
  }
  write(offset, _size, value) {
    const state = this.state;
    switch (offset) {
      case RBR_THR_DLL:
        if (state.lcr & LCR_DLAB) state.divisor = state.divisor & 65280 | value;
        else this.send(value);
        break;
      case IER_DLM: {
        if (state.lcr & LCR_DLAB) {
          state.divisor = state.divisor & 255 | value << 8;
          break;
        }
        if (value & ~state.ier & IER_THR_EMPTY) state.thrEmptyPending = true;
        state.ier = value & 15;
        break;
      }
      case IIR_FCR:
        if ((state.fcr ^ value) & FCR_ENABLE || value & FCR_ENABLE && value & FCR_CLEAR_RECEIVER) state.fifo = [];
        state.fcr = value & FCR_ENABLE ? value & 201 : 0;
        break;
      case LCR:
        if (value & ~state.lcr & LCR_BREAK && state.mcr & MCR_LOOP) {
          state.errors |= LSR_BREAK;
          this.take(0);
        }
        state.lcr = value;
        break;
      case MCR:
        state.mcr = value & 31;
        this.followModem();
        break;
      case SCR:
        state.scr = value;
        break;
    }
    this.update();
  }
  reset() {
    this.state = powerOn6();
    this.update();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
    this.update();
  }
  registers() {
    const { ier, fcr, lcr, mcr, scr, divisor, msr, fifo, queue } = this.state;
    const iir = this.iir();
    const sources = {
      [IIR_NONE]: "none",
      [IIR_MODEM_STATUS]: "modem status",
      [IIR_THR_EMPTY]: "transmitter empty",
      [IIR_RECEIVED_DATA]: "received data",
      [IIR_LINE_STATUS]: "line status",
      [IIR_CHARACTER_TIMEOUT]: "character timeout"
    };
    const format = `${5 + (lcr & 3)}${lcr & 8 ? lcr & 16 ? "E" : "O" : "N"}${lcr & 4 ? 2 : 1}`;
    const baud = divisor ? `${Math.round(115200 / divisor)} baud` : "no divisor";
    return [
      {
        name: "IER",
        width: 8,
        value: ier,
        meaning: bits(ier, ["received data", "THR empty", "line status", "modem status"])
      },
      { name: "IIR", width: 8, value: iir, meaning: sources[iir & 15] },
      {
        name: "FCR",
        width: 8,
        value: fcr,
        meaning: fcr & FCR_ENABLE ? `FIFOs, trigger ${triggerLevels[fcr >> 6]}` : "no FIFOs"
      },
      { name: "LCR", width: 8, value: lcr, meaning: `${format}${lcr & LCR_DLAB ? " DLAB" : ""}` },
      { name: "MCR", width: 8, value: mcr, meaning: bits(mcr, ["DTR", "RTS", "OUT1", "OUT2", "loop"]) },
      {
        name: "LSR",
        width: 8,
        value: this.lsr(),
        meaning: bits(this.lsr(), ["data ready", "overrun", "parity", "framing", "break", "THR empty", "TX empty"])
      },
      {
        name: "MSR",
        width: 8,
        value: msr,
        meaning: bits(msr, ["DCTS", "DDSR", "TERI", "DDCD", "CTS", "DSR", "RI", "DCD"])
      },
      { name: "SCR", width: 8, value: scr },
      { name: "divisor", width: 16, value: divisor, meaning: baud },
      {
        name: "receiver FIFO",
        width: 8,
        value: fifo.length,
        meaning: `bytes held; ${queue.length} more wait on the line`
      }
    ];
  }
  send(byte) {
    const state = this.state;
    if (state.mcr & MCR_LOOP) this.take(byte);
    else this.transmit(byte);
    state.thrEmptyPending = true;
  }
  /** A byte that comes whether or not there is room. */
  take(byte) {
    const { state } = this;
    const depth = state.fcr & FCR_ENABLE ? fifoDepth : 1;
    if (state.fifo.length < depth) state.fifo.push(byte);
    else {
      state.errors |= LSR_OVERRUN;
      if (depth === 1) state.fifo[0] = byte;
    }
  }
  /** MSR from the modem's lines, or in loopback from MCR, with the change bits. */
  followModem() {
    const state = this.state;
    const { mcr } = state;
    const connected = MSR_CTS | MSR_DSR | MSR_DCD;
    const looped = (mcr & 2 ? MSR_CTS : 0) | (mcr & 1 ? MSR_DSR : 0) | (mcr & 4 ? MSR_RI : 0) | (mcr & 8 ? MSR_DCD : 0);
    const lines = mcr & MCR_LOOP ? looped : connected;
    const changed = (state.msr ^ lines) & 240;
    const delta = changed & (MSR_CTS | MSR_DSR | MSR_DCD) | changed & state.msr & MSR_RI;
    state.msr = lines | state.msr & 15 | delta >> 4;
  }
  lsr() {
    const { fifo, errors } = this.state;
    return (fifo.length > 0 ? LSR_DATA_READY : 0) | errors | LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY;
  }
  iir() {
    const { ier, fcr, fifo, errors, msr, thrEmptyPending } = this.state;
    const fifos = fcr & FCR_ENABLE ? IIR_FIFOS_ENABLED : 0;
    if (ier & IER_LINE_STATUS && errors & LSR_ERRORS) return fifos | IIR_LINE_STATUS;
    if (ier & IER_RECEIVED_DATA && fifo.length > 0) {
      const reached = !fifos || fifo.length >= triggerLevels[fcr >> 6];
      return fifos | (reached ? IIR_RECEIVED_DATA : IIR_CHARACTER_TIMEOUT);
    }
    if (ier & IER_THR_EMPTY && thrEmptyPending) return fifos | IIR_THR_EMPTY;
    if (ier & IER_MODEM_STATUS && msr & 15) return fifos | IIR_MODEM_STATUS;
    return fifos | IIR_NONE;
  }
  /** Fills the FIFO from the line and drives the interrupt. On a PC, OUT2 gates it; loopback holds OUT2 inactive. */
  update() {
    const { state } = this;
    if (state.queue.length > 0 && !(state.mcr & MCR_LOOP)) {
      const depth = state.fcr & FCR_ENABLE ? fifoDepth : 1;
      const room = Math.max(depth - state.fifo.length, 0);
      if (room > 0) state.fifo.push(...state.queue.splice(0, room));
    }
    const gated = (state.mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    this.irq.set(gated && (this.iir() & IIR_NONE) === 0);
  }
};

// emulator/devices/unassigned-range.ts
var most = 256;
var UnassignedRange = class {
  /** @param onFirst called at the first access to an address, for a log. */
  constructor(name, onFirst = () => {
  }) {
    this.name = name;
    this.onFirst = onFirst;
  }
  name;
  onFirst;
  state = { reads: 0, writes: 0, touched: [] };
  index = /* @__PURE__ */ new Map();
  read(offset, size) {
    this.state.reads++;
    const entry = this.entry(offset, size, "read");
    if (entry) entry.reads++;
    return allOnes(size);
  }
  write(offset, size, value) {
    this.state.writes++;
    const entry = this.entry(offset, size, `write of ${hex(value, 8 * size)}`);
    if (entry) entry.writes++;
  }
  /** The addresses touched so far, at most 256, in the order of the first access. */
  accesses() {
    return this.state.touched;
  }
  reset() {
    this.state = { reads: 0, writes: 0, touched: [] };
    this.index.clear();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
    this.index = new Map(this.state.touched.map((entry) => [entry.address, entry]));
  }
  registers() {
    const touched = this.state.touched.map(({ address, reads, writes }) => ({
      name: hex(address, 16),
      width: 32,
      value: reads + writes,
      meaning: `${reads} reads, ${writes} writes`
    }));
    return [
      { name: "reads", width: 32, value: this.state.reads },
      { name: "writes", width: 32, value: this.state.writes },
      ...touched
    ];
  }
  entry(address, size, what) {
    let entry = this.index.get(address);
    if (!entry && this.index.size < most) {
      const added = { address, reads: 0, writes: 0 };
      this.state.touched.push(added);
      this.index.set(address, added);
      this.onFirst(`${this.name}: ${size}-byte ${what} at ${hex(address, 16)}, where no device answers`);
      entry = added;
    }
    return entry;
  }
};

// emulator/devices/code-page-437.ts
var low = " \u263A\u263B\u2665\u2666\u2663\u2660\u2022\u25D8\u25CB\u25D9\u2642\u2640\u266A\u266B\u263C\u25BA\u25C4\u2195\u203C\xB6\xA7\u25AC\u21A8\u2191\u2193\u2192\u2190\u221F\u2194\u25B2\u25BC";
var high = "\xC7\xFC\xE9\xE2\xE4\xE0\xE5\xE7\xEA\xEB\xE8\xEF\xEE\xEC\xC4\xC5\xC9\xE6\xC6\xF4\xF6\xF2\xFB\xF9\xFF\xD6\xDC\xA2\xA3\xA5\u20A7\u0192\xE1\xED\xF3\xFA\xF1\xD1\xAA\xBA\xBF\u2310\xAC\xBD\xBC\xA1\xAB\xBB\u2591\u2592\u2593\u2502\u2524\u2561\u2562\u2556\u2555\u2563\u2551\u2557\u255D\u255C\u255B\u2510\u2514\u2534\u252C\u251C\u2500\u253C\u255E\u255F\u255A\u2554\u2569\u2566\u2560\u2550\u256C\u2567\u2568\u2564\u2565\u2559\u2558\u2552\u2553\u256B\u256A\u2518\u250C\u2588\u2584\u258C\u2590\u2580\u03B1\xDF\u0393\u03C0\u03A3\u03C3\xB5\u03C4\u03A6\u0398\u03A9\u03B4\u221E\u03C6\u03B5\u2229\u2261\xB1\u2265\u2264\u2320\u2321\xF7\u2248\xB0\u2219\xB7\u221A\u207F\xB2\u25A0\xA0";
var codePage437 = Array.from({ length: 256 }, (_, code) => {
  if (code < 32) return low[code];
  if (code === 127) return "\u2302";
  return code < 128 ? String.fromCharCode(code) : high[code - 128];
});

// emulator/devices/vga-text.ts
var ATTRIBUTE_INDEX = 0;
var ATTRIBUTE_DATA = 1;
var MISCELLANEOUS_WRITE = 2;
var SEQUENCER_INDEX = 4;
var SEQUENCER_DATA = 5;
var DAC_MASK = 6;
var DAC_READ_INDEX = 7;
var DAC_WRITE_INDEX = 8;
var DAC_DATA = 9;
var FEATURE_READ = 10;
var MISCELLANEOUS_READ = 12;
var GRAPHICS_INDEX = 14;
var GRAPHICS_DATA = 15;
var CRTC_INDEX = 20;
var CRTC_DATA = 21;
var STATUS_1 = 26;
var HORIZONTAL_DISPLAY_END = 1;
var OVERFLOW = 7;
var MAXIMUM_SCAN_LINE = 9;
var CURSOR_START = 10;
var CURSOR_END = 11;
var START_ADDRESS_HIGH = 12;
var START_ADDRESS_LOW = 13;
var CURSOR_HIGH = 14;
var CURSOR_LOW = 15;
var VERTICAL_RETRACE_END = 17;
var VERTICAL_DISPLAY_END = 18;
var OFFSET = 19;
var CRTC_PROTECT = 128;
var CURSOR_OFF = 32;
var GRAPHICS_MISCELLANEOUS = 6;
var mode3 = {
  // biome-ignore format: eight to a line
  crtc: [
    95,
    79,
    80,
    130,
    85,
    129,
    191,
    31,
    0,
    79,
    13,
    14,
    0,
    0,
    0,
    0,
    156,
    142,
    143,
    40,
    31,
    150,
    185,
    163,
    255
  ],
  sequencer: [3, 0, 3, 0, 2],
  graphics: [0, 0, 0, 0, 0, 16, 14, 15, 255],
  // biome-ignore format: sixteen palette registers, then the five others
  attribute: [
    0,
    1,
    2,
    3,
    4,
    5,
    20,
    7,
    56,
    57,
    58,
    59,
    60,
    61,
    62,
    63,
    12,
    0,
    15,
    8,
    0
  ],
  miscellaneous: 103
};
var lineNanoseconds = 31778;
var linesPerFrame = 449;
var shownLines = 400;
var retraceLines = [412, 414];
var shownNanoseconds = 25422;
var textOffset = 98304;
var textBytes = 32768;
var mostColumns = 256;
var mostRows = 128;
function standardPalette() {
  const palette = new Array(768).fill(0);
  for (let color = 0; color < 64; color++)
    for (let part = 0; part < 3; part++)
      palette[3 * color + part] = (color >> 2 - part & 1) * 42 + (color >> 5 - part & 1) * 21;
  return palette;
}
function powerOn7() {
  const memory = new Uint8Array(textBytes);
  for (let i = 0; i < textBytes; i += 2) {
    memory[i] = 32;
    memory[i + 1] = 7;
  }
  return {
    ...structuredClone(mode3),
    feature: 0,
    indices: { crtc: 0, sequencer: 0, graphics: 0, attribute: 32 },
    attributeData: false,
    palette: standardPalette(),
    dac: { mask: 255, read: 0, write: 0, part: 0, reading: false },
    memory,
    refused: 0
  };
}
var VgaText = class {
  /** @param onRefused called once, at the first access to the graphics planes, with a sentence for the log. */
  constructor(clock, onRefused = () => {
  }) {
    this.clock = clock;
    this.onRefused = onRefused;
  }
  clock;
  onRefused;
  name = "VGA";
  ports = {
    widestAccess: 1,
    read: (offset) => this.readPort(offset),
    write: (offset, _size, value) => this.writePort(offset, value & 255)
  };
  window = {
    read: (offset, size) => this.readMemory(offset, size),
    write: (offset, size, value) => this.writeMemory(offset, size, value)
  };
  state = powerOn7();
  /** Whether the guest has set a graphics mode, which is not drawn. */
  get graphicsMode() {
    return (this.state.graphics[GRAPHICS_MISCELLANEOUS] & 1) !== 0;
  }
  /** The screen's cells; at most 256 by 128 of them. */
  screen() {
    const { crtc, memory } = this.state;
    const columns = Math.min(crtc[HORIZONTAL_DISPLAY_END] + 1, mostColumns);
    const overflow = crtc[OVERFLOW];
    const lines = 1 + (crtc[VERTICAL_DISPLAY_END] | (overflow & 2) << 7 | (overflow & 64) << 3);
    const cellHeight = (crtc[MAXIMUM_SCAN_LINE] & 31) + 1;
    const rows = Math.min(Math.max(Math.floor(lines / cellHeight), 1), mostRows);
    const start = crtc[START_ADDRESS_HIGH] << 8 | crtc[START_ADDRESS_LOW];
    const pitch = crtc[OFFSET] * 2;
    const characters2 = new Uint8Array(columns * rows);
    const attributes = new Uint8Array(columns * rows);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const at = 2 * (start + row * pitch + column) & textBytes - 1;
        characters2[row * columns + column] = memory[at];
        attributes[row * columns + column] = memory[at + 1];
      }
    return {
      columns,
      rows,
      characters: characters2,
      attributes,
      cursor: this.cursor(start, pitch, columns, rows),
      colors: this.colors()
    };
  }
  /** The screen's rows as text, without trailing blanks. */
  text() {
    const { columns, rows, characters: characters2 } = this.screen();
    return Array.from(
      { length: rows },
      (_, row) => Array.from(characters2.subarray(row * columns, (row + 1) * columns), (code) => codePage437[code]).join("").trimEnd()
    );
  }
  reset() {
    this.state = powerOn7();
  }
  save() {
    return structuredClone(this.state);
  }
  restore(state) {
    this.state = structuredClone(state);
  }
  registers() {
    const { state } = this;
    const file = (name, values) => values.map((value, i) => ({ name: `${name}${hex(i, 8).slice(2)}`, width: 8, value }));
    const { columns, rows } = this.screen();
    const mode = this.graphicsMode ? "graphics mode, not drawn" : `text, ${columns} by ${rows}`;
    return [
      { name: "miscellaneous output", width: 8, value: state.miscellaneous, meaning: mode },
      { name: "refused accesses", width: 32, value: state.refused, meaning: "to the graphics planes" },
      ...file("CRTC ", state.crtc),
      ...file("sequencer ", state.sequencer),
      ...file("graphics ", state.graphics),
      ...file("attribute ", state.attribute)
    ];
  }
  cursor(start, pitch, columns, rows) {
    const { crtc } = this.state;
    const first = crtc[CURSOR_START];
    if (first & CURSOR_OFF || (first & 31) > (crtc[CURSOR_END] & 31) || pitch === 0) return void 0;
    const position = (crtc[CURSOR_HIGH] << 8 | crtc[CURSOR_LOW]) - start;
    const row = Math.floor(position / pitch);
    const column = position % pitch;
    return position >= 0 && row < rows && column < columns ? { row, column } : void 0;
  }
  colors() {
    const { attribute, palette } = this.state;
    return Array.from({ length: 16 }, (_, color) => {
      const entry = 3 * (attribute[color] & 63);
      const part = (i) => palette[entry + i] << 2 | palette[entry + i] >> 4;
      return part(0) << 16 | part(1) << 8 | part(2);
    });
  }
  readPort(offset) {
    const { state } = this;
    const { indices, dac } = state;
    switch (offset) {
      case ATTRIBUTE_INDEX:
        return indices.attribute;
      case ATTRIBUTE_DATA:
        return state.attribute[indices.attribute & 31] ?? 0;
      case SEQUENCER_INDEX:
        return indices.sequencer;
      case SEQUENCER_DATA:
        return state.sequencer[indices.sequencer] ?? 0;
      case DAC_MASK:
        return dac.mask;
      case DAC_READ_INDEX:
        return dac.reading ? 3 : 0;
      case DAC_WRITE_INDEX:
        return dac.write;
      case DAC_DATA: {
        const value = state.palette[3 * dac.read + dac.part];
        if (++dac.part === 3) {
          dac.part = 0;
          dac.read = dac.read + 1 & 255;
        }
        return value;
      }
      case FEATURE_READ:
        return state.feature;
      case MISCELLANEOUS_READ:
        return state.miscellaneous;
      case GRAPHICS_INDEX:
        return indices.graphics;
      case GRAPHICS_DATA:
        return state.graphics[indices.graphics] ?? 0;
      case CRTC_INDEX:
        return indices.crtc;
      case CRTC_DATA:
        return state.crtc[indices.crtc] ?? 0;
      case STATUS_1:
        state.attributeData = false;
        return this.status1();
      case MISCELLANEOUS_WRITE:
        return 0;
      default:
        return 255;
    }
  }
  writePort(offset, value) {
    const { state } = this;
    const { indices, dac } = state;
    const put = (file, index2) => {
      if (index2 < file.length) file[index2] = value;
    };
    switch (offset) {
      case ATTRIBUTE_INDEX:
        if (state.attributeData) put(state.attribute, indices.attribute & 31);
        else indices.attribute = value & 63;
        state.attributeData = !state.attributeData;
        break;
      case MISCELLANEOUS_WRITE:
        state.miscellaneous = value;
        break;
      case SEQUENCER_INDEX:
        indices.sequencer = value & 7;
        break;
      case SEQUENCER_DATA:
        put(state.sequencer, indices.sequencer);
        break;
      case DAC_MASK:
        dac.mask = value;
        break;
      case DAC_READ_INDEX:
        Object.assign(dac, { read: value, part: 0, reading: true });
        break;
      case DAC_WRITE_INDEX:
        Object.assign(dac, { write: value, part: 0, reading: false });
        break;
      case DAC_DATA:
        state.palette[3 * dac.write + dac.part] = value & 63;
        if (++dac.part === 3) {
          dac.part = 0;
          dac.write = dac.write + 1 & 255;
        }
        break;
      case GRAPHICS_INDEX:
        indices.graphics = value & 15;
        break;
      case GRAPHICS_DATA:
        put(state.graphics, indices.graphics);
        break;
      case CRTC_INDEX:
        indices.crtc = value & 63;
        break;
      case CRTC_DATA:
        this.writeCrtc(indices.crtc, value);
        break;
      case STATUS_1:
        state.feature = value & 3;
        break;
    }
  }
  writeCrtc(index2, value) {
    const { crtc } = this.state;
    if (index2 >= crtc.length) return;
    if (index2 <= OVERFLOW && crtc[VERTICAL_RETRACE_END] & CRTC_PROTECT) {
      if (index2 === OVERFLOW) crtc[index2] = crtc[index2] & ~16 | value & 16;
      return;
    }
    crtc[index2] = value;
  }
  /** Bit 0: no picture is drawn now; bit 3: vertical retrace. */
  status1() {
    const inFrame = this.clock.now() % (lineNanoseconds * linesPerFrame);
    const line = Math.floor(inFrame / lineNanoseconds);
    const blank = line >= shownLines || inFrame % lineNanoseconds >= shownNanoseconds;
    const retrace = line >= retraceLines[0] && line < retraceLines[1];
    return (blank ? 1 : 0) | (retrace ? 8 : 0);
  }
  readMemory(offset, size) {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) {
      const inText = offset + i >= textOffset && offset + i < textOffset + textBytes;
      value = value * 256 + (inText ? this.state.memory[offset + i - textOffset] : 255);
    }
    if (offset < textOffset) this.refuse(offset);
    return value;
  }
  writeMemory(offset, size, value) {
    for (let i = 0; i < size; i++) {
      const at = offset + i - textOffset;
      if (at >= 0 && at < textBytes) this.state.memory[at] = value >>> 8 * i;
    }
    if (offset < textOffset) this.refuse(offset);
  }
  refuse(offset) {
    if (this.state.refused++ === 0)
      this.onRefused(
        `VGA: the guest uses graphics memory at ${hex(655360 + offset, 20)}; only text modes are shown, so boot it with a text console`
      );
  }
};

// emulator/machine/virtual-machine.ts
var MachineError = class extends Error {
};

// emulator/machine/loaders/boot-state.ts
function memoryMap(size) {
  return [
    { base: 0, length: 654336, type: 1 },
    { base: 654336, length: 1024, type: 2 },
    { base: 983040, length: 65536, type: 2 },
    { base: 1048576, length: size - 1048576, type: 1 }
  ];
}
function words(...values) {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index2, value] of values.entries()) view.setUint32(index2 * 4, value >>> 0, true);
  return bytes;
}
function zeroTerminated(text) {
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(encoded.length + 1);
  bytes.set(encoded);
  return bytes;
}
function place(target, address, bytes, what) {
  if (address < 0 || address + bytes.length > target.size) {
    throw new MachineError(
      `${what} needs memory from 0x${address.toString(16)} to 0x${(address + bytes.length).toString(16)}, but the machine has 0x${target.size.toString(16)} bytes: give it more with "memory".`
    );
  }
  target.write(address, bytes);
}

// emulator/machine/pc-devices.ts
var VGA_WINDOW = 655360;
var LOCAL_APIC_PAGE = 4276092928;
var IO_APIC_PAGE = 4273995776;
var PcDevices = class {
  constructor(surroundings) {
    this.surroundings = surroundings;
    const { clock } = surroundings;
    const unassignedPorts = new UnassignedRange("Unassigned I/O ports");
    const unassignedMemory = new UnassignedRange("Unassigned physical addresses");
    this.ports = new IoPortBus(unassignedPorts);
    this.memory = new MemoryBus(unassignedMemory);
    const apicBus = new ApicBus();
    const intr = {
      set: (asserted) => {
        this.picAsserts = asserted;
        if (this.localApic?.enabled) this.localApic.lint0.set(asserted);
        else surroundings.interruptRequest(asserted);
      }
    };
    this.pic = new Pic8259Pair(intr);
    this.localApic = new LocalApic(0, {
      clock,
      bus: apicBus,
      interruptPending: (pending) => surroundings.interruptRequest(pending),
      acknowledgeExternal: () => this.pic.acknowledge(),
      nonMaskable: () => surroundings.nonMaskableInterrupt(),
      systemManagement: () => {
      },
      init: () => this.localApic.initialize(),
      startUp: () => {
      },
      timeOfTsc: (tsc) => surroundings.timeOfTsc(tsc)
    });
    this.ioApic = new IoApic(apicBus);
    const shared = /* @__PURE__ */ new Map();
    const irq = (number) => {
      let line = shared.get(number);
      if (!line) {
        const toPic = this.pic.line(number);
        const toApic = this.ioApic.line(number === 0 ? 2 : number);
        line = new SharedInterruptLine({
          set: (asserted) => {
            toPic.set(asserted);
            toApic.set(asserted);
          }
        });
        shared.set(number, line);
      }
      return line.driver();
    };
    this.pit = new Pit8254(clock, irq(0));
    this.com1 = new Uart16550(irq(4), (byte) => surroundings.serial(byte), "16550A COM1");
    const com2 = new Uart16550(irq(3), () => {
    }, "16550A COM2");
    const portB = new SystemControlPortB(clock, this.pit);
    const rtc = new RtcMc146818(clock, irq(8), { memoryBytes: surroundings.memoryBytes });
    const fastA20 = new FastA20(
      (enabled) => this.keyboard.followA20(enabled),
      () => surroundings.reset()
    );
    this.display = new VgaText(clock);
    this.keyboard = new I8042(
      irq(1),
      irq(12),
      (enabled) => fastA20.followA20(enabled),
      () => surroundings.reset()
    );
    const pci = new PciBus(this.ports, this.memory);
    const hostBridge = new PciHostBridge(pci, () => surroundings.reset());
    const isaBridge = new Piix3IsaBridge(pci, irq);
    const power = new AcpiPower(clock, irq(9), () => surroundings.powerOff());
    const dma = new Dma8237();
    const postCode = new PostCode();
    const debugExit = new DebugExit((value) => surroundings.debugExit(value));
    const debugConsole = new DebugConsole((byte) => surroundings.debugConsole(byte));
    const fwCfg = new FwCfg({
      cpuCount: 1,
      memoryBytes: surroundings.memoryBytes,
      memoryMap: memoryMap(surroundings.memoryBytes)
    });
    const { ports } = this;
    ports.register(0, 16, dma.first, dma.name);
    ports.register(32, 2, this.pic.master, "8259A master");
    ports.register(64, 4, this.pit, this.pit.name);
    ports.register(96, 1, this.keyboard.data, "i8042 data");
    ports.register(97, 1, portB, portB.name);
    ports.register(100, 1, this.keyboard.command, "i8042 command");
    ports.register(112, 2, rtc, rtc.name);
    ports.register(128, 1, postCode, postCode.name);
    ports.register(129, 15, dma.pages, "DMA page registers");
    ports.register(146, 1, fastA20, fastA20.name);
    ports.register(160, 2, this.pic.slave, "8259A slave");
    ports.register(192, 32, dma.second, "8237A second");
    ports.register(233, 1, debugConsole, debugConsole.name);
    ports.register(244, 4, debugExit, debugExit.name);
    ports.register(760, 8, com2, com2.name);
    ports.register(960, 32, this.display.ports, this.display.name);
    ports.register(1016, 8, this.com1, this.com1.name);
    ports.register(1232, 2, this.pic.elcr, "Edge/level control");
    ports.register(1296, 2, fwCfg, fwCfg.name);
    ports.register(ACPI_POWER_PORT, ACPI_POWER_LENGTH, power, power.name);
    ports.register(3320, 8, hostBridge, hostBridge.name);
    this.memory.register(VGA_WINDOW, 131072, this.display.window, "VGA memory");
    this.memory.register(IO_APIC_PAGE, 4096, this.ioApic, this.ioApic.name);
    this.memory.register(LOCAL_APIC_PAGE, 4096, this.localApic, this.localApic.name);
    this.all = [
      this.pic,
      this.localApic,
      this.ioApic,
      this.pit,
      portB,
      rtc,
      this.com1,
      com2,
      this.keyboard,
      this.display,
      fastA20,
      hostBridge,
      isaBridge,
      power,
      dma,
      postCode,
      debugExit,
      debugConsole,
      fwCfg,
      unassignedPorts,
      unassignedMemory
    ];
  }
  surroundings;
  ports;
  memory;
  pic;
  localApic;
  ioApic;
  pit;
  com1;
  keyboard;
  display;
  all;
  picAsserts = false;
  /** The processor's interrupt acknowledge cycle: the vector. */
  acknowledge() {
    return this.localApic.enabled ? this.localApic.acknowledge() : this.pic.acknowledge();
  }
  /** Called when IA32_APIC_BASE was written: INTR may have to change its way. */
  localApicMoved() {
    if (this.localApic.enabled) this.localApic.lint0.set(this.picAsserts);
    else this.surroundings.interruptRequest(this.picAsserts);
  }
  /** Power-on reset of every device; the local APIC in virtual wire mode, as firmware leaves it (MultiProcessor Specification 1.4, §3.6.2.1). */
  reset() {
    for (const device of this.all) device.reset();
    this.localApic.enterVirtualWireMode();
  }
};

// emulator/machine/host-machine.ts
var TRAP_FLAG = 256;
var HostMachine = class {
  physical;
  tlb;
  clock = new VirtualClock();
  devices;
  processor;
  engine;
  /** Nanoseconds of virtual time in which no instruction retired. */
  idle = 0;
  live = () => this.now();
  pending;
  /** Interrupts and alarms wait while this is set: the debugger steps. */
  holdInterrupts = false;
  constructor(configuration) {
    this.physical = new PhysicalMemory(configuration.memoryBytes);
    this.tlb = new TranslationLookasideBuffer(this.physical);
    this.devices = new PcDevices({
      clock: this.clock,
      memoryBytes: configuration.memoryBytes,
      interruptRequest: (asserted) => this.setInterruptRequest(asserted),
      nonMaskableInterrupt: () => this.raiseNmi(),
      reset: () => {
        configuration.onReset();
        this.stop({ kind: "requested" });
      },
      powerOff: () => this.stop({ kind: "poweroff" }),
      debugExit: (value) => this.stop({ kind: "debug-exit", value }),
      debugConsole: configuration.onDebugConsole,
      serial: configuration.onSerial,
      timeOfTsc: (tsc) => Number(tsc) + this.idle
    });
    this.physical.bus = this.devices.memory;
    this.physical.kind.fill(PageKind.mmio, 160, 192);
    this.processor = new ArchitecturalProcessor({
      physical: this.physical,
      tlb: this.tlb,
      ports: this.devices.ports,
      timestamp: () => this.now(),
      retired: () => this.engine.retired
    });
    this.engine = new ExecutionEngine(this.physical, this.tlb, this.processor);
    this.powerOn();
  }
  /** The state after power-on. RAM keeps its bytes; a loader writes what it needs. */
  powerOn() {
    this.idle = 0;
    this.pending = void 0;
    this.engine.setRetired(0);
    this.clock.restore(0);
    this.processor.reset();
    this.devices.reset();
    this.engine.code.flush();
  }
  /** Virtual time in nanoseconds, to the current instruction. */
  now() {
    return this.engine.retired + this.idle;
  }
  /** Makes run() return before the next instruction. */
  stop(reason) {
    this.pending ??= reason;
    this.engine.stopAfterInstruction();
  }
  setInterruptRequest(asserted) {
    const { i32: i329 } = this.physical;
    i329[State.interruptRequest >> 2] = asserted ? 1 : 0;
    if (asserted && i329[State.interruptsEnabled >> 2] !== 0) this.engine?.stopAfterInstruction();
  }
  raiseNmi() {
    this.physical.i32[Internal.nmiPending >> 2] = 1;
    this.engine.stopAfterInstruction();
  }
  /** Runs at most `count` instructions; undefined when exactly that many have retired. */
  run(count) {
    const end = this.engine.retired + count;
    const { processor, engine } = this;
    for (; ; ) {
      const stopped = this.takeStop();
      if (stopped) return stopped;
      if (engine.retired >= end) return void 0;
      let slice = end - engine.retired;
      if (!this.holdInterrupts) {
        this.clock.advanceTo(this.now());
        if (this.pending) continue;
        if (!this.takeInterrupt()) return { kind: "shutdown" };
        if (processor.halted) {
          if (!this.skipToAlarm()) return { kind: "halted" };
          continue;
        }
        slice = Math.min(slice, Math.max(1, this.clock.nextAlarm() - this.now()));
      } else if (processor.halted) return { kind: "halted" };
      this.clock.live = this.live;
      const reason = processor.needsSingleSteps ? this.singleStep() : engine.execute(slice);
      this.clock.live = void 0;
      switch (reason) {
        case ExitReason.breakpoint:
          return this.takeStop() ?? { kind: "breakpoint" };
        case ExitReason.hostEntry:
          return this.takeStop() ?? { kind: "host-entry" };
        case ExitReason.shutdown:
          return { kind: "shutdown" };
        default:
      }
    }
  }
  /** Delivers an NMI or external interrupt that can be taken now; false after shutdown. */
  takeInterrupt() {
    const { processor } = this;
    const { i32: i329 } = this.physical;
    if (i329[Internal.nmiPending >> 2] !== 0 && processor.canTakeNmi) {
      i329[Internal.nmiPending >> 2] = 0;
      return processor.takeNmi();
    }
    if (i329[State.interruptRequest >> 2] !== 0 && processor.canTakeInterrupt) {
      return processor.takeExternalInterrupt(this.devices.acknowledge());
    }
    return true;
  }
  /** One instruction with the debug exceptions before and after it (SDM Vol. 3B §17.3). */
  singleStep() {
    const { processor, engine } = this;
    const before2 = processor.debugFaultBefore();
    if (before2) return processor.deliver(before2) ? ExitReason.fuel : ExitReason.shutdown;
    const trapFlag = (this.physical.i32[State.flagsRest >> 2] & TRAP_FLAG) !== 0;
    const retired = engine.retired;
    const reason = engine.execute(1);
    if (engine.retired > retired) {
      const after = processor.debugTrapAfter(trapFlag);
      if (after && !processor.deliver(after)) return ExitReason.shutdown;
    }
    return reason;
  }
  takeStop() {
    const { pending } = this;
    this.pending = void 0;
    return pending;
  }
  /** While halted: moves time to the next alarm. False when there is none, so that nothing can wake the processor. */
  skipToAlarm() {
    const alarm = this.clock.nextAlarm();
    if (alarm === Number.POSITIVE_INFINITY) return false;
    this.idle += Math.max(0, alarm - this.now());
    return true;
  }
  /** The interrupt-enable flag as the run loop sees it. */
  get interruptsEnabled() {
    return this.physical.i32[State.interruptsEnabled >> 2] !== 0;
  }
};

// emulator/machine/loaders/elf-image.ts
var PT_LOAD = 1;
var EM_386 = 3;
var EM_X86_64 = 62;
function isElf(bytes) {
  return bytes.length >= 4 && bytes[0] === 127 && bytes[1] === 69 && bytes[2] === 76 && bytes[3] === 70;
}
function parseElf(name, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cut = () => new MachineError(`${name} is a truncated ELF file (${bytes.length} bytes): build or copy it again.`);
  if (bytes.length < 52) throw cut();
  const bits2 = bytes[4] === 2 ? 64 : 32;
  if (bytes[5] !== 1) throw new MachineError(`${name} is a big-endian ELF file, not one for x86.`);
  const machine = view.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64)
    throw new MachineError(`${name} is an ELF file for machine ${machine}, not for x86.`);
  if (bits2 === 64 && bytes.length < 64) throw cut();
  const wide = (at) => bits2 === 64 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
  const entry = wide(24);
  const tableOffset = Number(wide(bits2 === 64 ? 32 : 28));
  const entrySize = view.getUint16(bits2 === 64 ? 54 : 42, true);
  const count = view.getUint16(bits2 === 64 ? 56 : 44, true);
  const least2 = bits2 === 64 ? 56 : 32;
  if (count > 0 && (entrySize < least2 || tableOffset + count * entrySize > bytes.length)) throw cut();
  const segments = [];
  for (let index2 = 0; index2 < count; index2++) {
    const at = tableOffset + index2 * entrySize;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const field = (offset32, offset64) => wide(at + (bits2 === 64 ? offset64 : offset32));
    const offset = Number(field(4, 8));
    const linearAddress = field(8, 16);
    const physicalAddress = Number(field(12, 24));
    const fileSize = Number(field(16, 32));
    const memorySize = Number(field(20, 40));
    if (memorySize === 0) continue;
    if (offset + fileSize > bytes.length || fileSize > memorySize) throw cut();
    segments.push({ physicalAddress, linearAddress, bytes: bytes.subarray(offset, offset + fileSize), memorySize });
  }
  if (segments.length === 0)
    throw new MachineError(`${name} is an ELF file without a loadable segment: link it as an executable.`);
  return { bits: bits2, entry, segments };
}
function loadElf(name, image, target) {
  let end = 0;
  for (const segment of image.segments) {
    if (segment.memorySize > target.size) {
      throw new MachineError(
        `${name} needs a segment of 0x${segment.memorySize.toString(16)} bytes, but the machine has 0x${target.size.toString(16)} bytes of memory.`
      );
    }
    const whole = new Uint8Array(segment.memorySize);
    whole.set(segment.bytes);
    place(target, segment.physicalAddress, whole, `A segment of ${name}`);
    end = Math.max(end, segment.physicalAddress + segment.memorySize);
  }
  return end;
}
function physicalEntry(image) {
  for (const segment of image.segments) {
    const offset = image.entry - segment.linearAddress;
    if (offset >= 0n && offset < BigInt(segment.memorySize)) return segment.physicalAddress + Number(offset);
  }
  return Number(BigInt.asUintN(32, image.entry));
}

// emulator/machine/loaders/linux-boot.ts
var HEADER_START = 497;
var MAGIC_OFFSET = 514;
var MAGIC = 1400005704;
var OLDEST_PROTOCOL = 514;
var BOOT_PARAMETERS = 589824;
var GDT = 585728;
var COMMAND_LINE = 593920;
var COMMAND_LINE_LIMIT = 2048;
var KERNEL = 1048576;
var E820_COUNT = 488;
var E820_TABLE = 720;
var LOADER_TYPE = 528;
var LOAD_FLAGS = 529;
var CODE32_START = 532;
var RAMDISK_IMAGE = 536;
var RAMDISK_SIZE = 540;
var HEAP_END = 548;
var COMMAND_LINE_POINTER = 552;
var INITRD_MAX = 556;
var LOADED_HIGH = 1;
var CAN_USE_HEAP = 128;
var UNKNOWN_LOADER = 255;
var BOOT_CS = 16;
var BOOT_DS = 24;
function isBzImage(bytes) {
  if (bytes.length < 560) return false;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC_OFFSET, true) === MAGIC;
}
function loadLinux(image, modules, target) {
  const { name, bytes } = image;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(518, true);
  if (version < OLDEST_PROTOCOL)
    throw new MachineError(
      `${name} speaks boot protocol ${(version >> 8).toString()}.${version & 255}; 2.2 is the oldest that can be booted directly.`
    );
  if ((view.getUint8(LOAD_FLAGS) & LOADED_HIGH) === 0)
    throw new MachineError(`${name} is a zImage; only bzImage kernels can be booted directly.`);
  const setupSectors = view.getUint8(HEADER_START) || 4;
  const kernelOffset = (setupSectors + 1) * 512;
  const systemSize = view.getUint32(500, true) * 16;
  if (kernelOffset >= bytes.length || kernelOffset + systemSize > bytes.length + 15) {
    throw new MachineError(`${name} is a truncated bzImage (${bytes.length} bytes): copy it again.`);
  }
  place(target, KERNEL, bytes.subarray(kernelOffset), name);
  const parameters = new Uint8Array(4096);
  const headerEnd = 514 + view.getUint8(513);
  parameters.set(bytes.subarray(HEADER_START, Math.min(headerEnd, 656)), HEADER_START);
  const zero2 = new DataView(parameters.buffer);
  zero2.setUint8(LOADER_TYPE, UNKNOWN_LOADER);
  zero2.setUint8(LOAD_FLAGS, zero2.getUint8(LOAD_FLAGS) | CAN_USE_HEAP);
  zero2.setUint16(HEAP_END, 65024, true);
  zero2.setUint32(CODE32_START, KERNEL, true);
  const text = zeroTerminated(modules.append ?? "");
  const limit = version >= 518 ? view.getUint32(568, true) + 1 : 256;
  if (text.length > Math.min(limit, COMMAND_LINE_LIMIT)) {
    throw new MachineError(
      `The kernel command line has ${text.length - 1} characters; ${name} takes ${Math.min(limit, COMMAND_LINE_LIMIT) - 1}.`
    );
  }
  place(target, COMMAND_LINE, text, "The kernel command line");
  zero2.setUint32(COMMAND_LINE_POINTER, COMMAND_LINE, true);
  if (modules.initrd) {
    const highest = version >= 515 ? view.getUint32(INITRD_MAX, true) : 939524095;
    const top = Math.min(target.size, highest + 1);
    const address = top - modules.initrd.bytes.length & ~4095;
    const initSize = version >= 522 ? view.getUint32(608, true) : bytes.length * 4;
    if (address < KERNEL + initSize) {
      throw new MachineError(
        `${modules.initrd.name} (${modules.initrd.bytes.length} bytes) does not fit beside ${name} in 0x${target.size.toString(16)} bytes: give the machine more with "memory".`
      );
    }
    place(target, address, modules.initrd.bytes, modules.initrd.name);
    zero2.setUint32(RAMDISK_IMAGE, address, true);
    zero2.setUint32(RAMDISK_SIZE, modules.initrd.bytes.length, true);
  }
  const ranges = memoryMap(target.size);
  zero2.setUint8(E820_COUNT, ranges.length);
  ranges.forEach((range, index2) => {
    const at = E820_TABLE + index2 * 20;
    zero2.setBigUint64(at, BigInt(range.base), true);
    zero2.setBigUint64(at + 8, BigInt(range.length), true);
    zero2.setUint32(at + 16, range.type, true);
  });
  place(target, BOOT_PARAMETERS, parameters, "The boot parameters");
  place(target, GDT, words(0, 0, 0, 0, 65535, 13605632, 65535, 13603584), "The boot GDT");
  return {
    instructionPointer: KERNEL,
    registers: { esi: BOOT_PARAMETERS, esp: BOOT_PARAMETERS },
    codeSelector: BOOT_CS,
    dataSelector: BOOT_DS,
    gdt: { base: GDT, limit: 31 },
    protocol: "Linux 32-bit boot protocol"
  };
}

// emulator/machine/loaders/multiboot1.ts
var HEADER_MAGIC = 464367618;
var BOOTLOADER_MAGIC = 732803074;
var SEARCH = 8192;
var FLAG_ADDRESSES = 1 << 16;
var KNOWN_REQUIREMENTS = 7;
var INFO_MEMORY = 1 << 0;
var INFO_COMMAND_LINE = 1 << 2;
var INFO_MODULES = 1 << 3;
var INFO_MEMORY_MAP = 1 << 6;
var INFO_LOADER_NAME = 1 << 9;
function findMultiboot1(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 12 <= Math.min(SEARCH, bytes.length); at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    if (HEADER_MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true) >>> 0 === 0) return at;
  }
  return -1;
}
function loadByAddresses(name, bytes, header, target) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header + 32 > bytes.length) throw new MachineError(`${name} ends inside its multiboot header.`);
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map(
    (offset) => view.getUint32(header + offset, true)
  );
  const start = header - (headerAddress - loadAddress);
  const length = loadEnd === 0 ? bytes.length - start : loadEnd - loadAddress;
  if (start < 0 || length < 0 || start + length > bytes.length)
    throw new MachineError(`${name} has a multiboot header whose addresses do not fit the file.`);
  const whole = Math.max(length, bssEnd === 0 ? 0 : bssEnd - loadAddress);
  if (loadAddress + whole > target.size) {
    throw new MachineError(
      `${name} needs memory up to 0x${(loadAddress + whole).toString(16)}, but the machine has 0x${target.size.toString(16)} bytes: give it more with "memory".`
    );
  }
  const image = new Uint8Array(whole);
  image.set(bytes.subarray(start, start + length));
  place(target, loadAddress, image, name);
  return { entry, end: loadAddress + whole };
}
function loadMultiboot1(image, header, modules, target) {
  const { name, bytes } = image;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint32(header + 4, true);
  const unknown = flags & 65535 & ~KNOWN_REQUIREMENTS;
  if (unknown !== 0)
    throw new MachineError(
      `${name} requires multiboot features 0x${unknown.toString(16)} that this loader does not have.`
    );
  let entry;
  let end;
  if (flags & FLAG_ADDRESSES) ({ entry, end } = loadByAddresses(name, bytes, header, target));
  else if (isElf(bytes)) {
    const elf = parseElf(name, bytes);
    end = loadElf(name, elf, target);
    entry = physicalEntry(elf);
  } else
    throw new MachineError(
      `${name} has a multiboot header but is neither ELF nor does the header give load addresses.`
    );
  let free = end + 4095 & ~4095;
  const reserve = (content, alignment, what) => {
    const address = Math.ceil(free / alignment) * alignment;
    place(target, address, content, what);
    free = address + content.length;
    return address;
  };
  const commandLine = reserve(zeroTerminated([name, modules.append].filter(Boolean).join(" ")), 4, "The command line");
  const loaderName = reserve(zeroTerminated("Hyperscope"), 4, "The loader's name");
  let moduleTable = 0;
  if (modules.initrd) {
    const text = reserve(zeroTerminated(modules.initrd.name), 4, "A module's name");
    const start = reserve(modules.initrd.bytes, 4096, `The module ${modules.initrd.name}`);
    moduleTable = reserve(words(start, start + modules.initrd.bytes.length, text, 0), 4, "The module table");
  }
  const ranges = memoryMap(target.size);
  const map = reserve(
    words(...ranges.flatMap((range) => [20, range.base, 0, range.length, 0, range.type])),
    4,
    "The memory map"
  );
  const information = new Array(29).fill(0);
  information[0] = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_LOADER_NAME | (moduleTable ? INFO_MODULES : 0);
  information[1] = 639;
  information[2] = target.size - 1048576 >> 10;
  information[4] = commandLine;
  information[5] = moduleTable ? 1 : 0;
  information[6] = moduleTable;
  information[11] = ranges.length * 24;
  information[12] = map;
  information[16] = loaderName;
  const structure = reserve(words(...information), 4, "The multiboot information");
  return {
    instructionPointer: entry,
    registers: { eax: BOOTLOADER_MAGIC, ebx: structure },
    codeSelector: 8,
    dataSelector: 16,
    gdt: void 0,
    protocol: "multiboot 1"
  };
}

// emulator/machine/loaders/multiboot2.ts
var HEADER_MAGIC2 = 3897708758;
var BOOTLOADER_MAGIC2 = 920085129;
var SEARCH2 = 32768;
var HEADER_TAG = {
  end: 0,
  informationRequest: 1,
  address: 2,
  entryAddress: 3,
  consoleFlags: 4,
  framebuffer: 5,
  moduleAlignment: 6
};
var OPTIONAL = 1;
var TAG = { end: 0, commandLine: 1, loaderName: 2, module: 3, basicMemory: 4, memoryMap: 6 };
function findMultiboot2(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= Math.min(SEARCH2, bytes.length); at += 8) {
    if (view.getUint32(at, true) !== HEADER_MAGIC2) continue;
    const sum = HEADER_MAGIC2 + view.getUint32(at + 4, true) + view.getUint32(at + 8, true) + view.getUint32(at + 12, true);
    if (sum % 4294967296 === 0) return at;
  }
  return -1;
}
function tag(type, content) {
  const bytes = new Uint8Array(Math.ceil((8 + content.length) / 8) * 8);
  bytes.set(words(type, 8 + content.length));
  bytes.set(content, 8);
  return bytes;
}
function join(...parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
function loadMultiboot2(image, header, modules, target) {
  const { name, bytes } = image;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerEnd = header + view.getUint32(header + 8, true);
  if (headerEnd > bytes.length) throw new MachineError(`${name} ends inside its multiboot 2 header.`);
  let entry;
  let addresses;
  for (let at = header + 16; at + 8 <= headerEnd; ) {
    const type = view.getUint16(at, true);
    const size = view.getUint32(at + 4, true);
    if (size < 8 || at + size > headerEnd)
      throw new MachineError(`${name} has a multiboot 2 header tag that runs out of the header.`);
    if (type === HEADER_TAG.end) break;
    if (type === HEADER_TAG.address) addresses = [8, 12, 16, 20].map((offset) => view.getUint32(at + offset, true));
    else if (type === HEADER_TAG.entryAddress) entry = view.getUint32(at + 8, true);
    else if (!Object.values(HEADER_TAG).includes(type) && !(view.getUint16(at + 2, true) & OPTIONAL)) {
      throw new MachineError(`${name} requires multiboot 2 header tag ${type}, which this loader does not have.`);
    }
    at += Math.ceil(size / 8) * 8;
  }
  let end;
  if (addresses) {
    const [headerAddress, loadAddress, loadEnd, bssEnd] = addresses;
    const start = loadAddress === 4294967295 ? 0 : header - (headerAddress - loadAddress);
    const base = loadAddress === 4294967295 ? headerAddress - header : loadAddress;
    const length = loadEnd === 0 ? bytes.length - start : loadEnd - base;
    if (start < 0 || length < 0 || start + length > bytes.length || entry === void 0) {
      throw new MachineError(`${name} has a multiboot 2 address tag that does not fit the file, or no entry address.`);
    }
    const content = new Uint8Array(Math.max(length, bssEnd === 0 ? 0 : Math.min(bssEnd - base, target.size)));
    content.set(bytes.subarray(start, start + length));
    place(target, base, content, name);
    end = base + content.length;
  } else if (isElf(bytes)) {
    const elf = parseElf(name, bytes);
    end = loadElf(name, elf, target);
    entry ??= physicalEntry(elf);
  } else
    throw new MachineError(
      `${name} has a multiboot 2 header but is neither ELF nor does the header give load addresses.`
    );
  let free = end + 4095 & ~4095;
  const tags = [
    tag(TAG.commandLine, zeroTerminated([name, modules.append].filter(Boolean).join(" "))),
    tag(TAG.loaderName, zeroTerminated("Hyperscope")),
    tag(TAG.basicMemory, words(639, target.size - 1048576 >> 10)),
    tag(
      TAG.memoryMap,
      join(
        words(24, 0),
        ...memoryMap(target.size).map((range) => words(range.base, 0, range.length, 0, range.type, 0))
      )
    )
  ];
  if (modules.initrd) {
    place(target, free, modules.initrd.bytes, `The module ${modules.initrd.name}`);
    tags.push(
      tag(TAG.module, join(words(free, free + modules.initrd.bytes.length), zeroTerminated(modules.initrd.name)))
    );
    free = free + modules.initrd.bytes.length + 4095 & ~4095;
  }
  const body = join(...tags, tag(TAG.end, new Uint8Array(0)));
  const structure = free;
  place(target, structure, join(words(8 + body.length, 0), body), "The multiboot 2 information");
  return {
    instructionPointer: entry,
    registers: { eax: BOOTLOADER_MAGIC2, ebx: structure },
    codeSelector: 8,
    dataSelector: 16,
    gdt: void 0,
    protocol: "multiboot 2"
  };
}

// emulator/machine/loaders/load-image.ts
function loadImage(image, modules, target) {
  const { name, bytes } = image;
  if (bytes.length === 0) throw new MachineError(`${name} is empty.`);
  if (isBzImage(bytes)) return loadLinux(image, modules, target);
  const multiboot1 = findMultiboot1(bytes);
  if (multiboot1 >= 0) return loadMultiboot1(image, multiboot1, modules, target);
  const multiboot2 = findMultiboot2(bytes);
  if (multiboot2 >= 0) return loadMultiboot2(image, multiboot2, modules, target);
  if (isElf(bytes)) {
    const elf = parseElf(name, bytes);
    if (elf.bits === 64) {
      throw new MachineError(
        `${name} is a 64-bit ELF file without a multiboot header, so it does not say how it wants to be started: add a multiboot 2 header.`
      );
    }
    loadElf(name, elf, target);
    return {
      instructionPointer: physicalEntry(elf),
      registers: {},
      codeSelector: 8,
      dataSelector: 16,
      gdt: void 0,
      protocol: "ELF entry in 32-bit protected mode"
    };
  }
  throw new MachineError(
    `${name} is not an image that can be started: no bzImage, no multiboot header in its first 32 KiB, not ELF.`
  );
}

// emulator/machine/register-file.ts
var GENERAL = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
var LOW_BYTES = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
var HIGH_BYTES = ["ah", "ch", "dh", "bh"];
var SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs"];
function bitNames(value, names2) {
  return Object.entries(names2).filter(([, bit2]) => (bit2 & bit2 - 1) === 0 && (value & bit2) !== 0).map(([name]) => name).reverse().join(" ");
}
function flagsMeaning(value) {
  const { fixed, arithmetic: arithmetic2, rest, IOPL: IOPL2, ...names2 } = Eflags;
  void [fixed, arithmetic2, rest];
  const flags = Number(value & 0xffffffffn);
  return `${bitNames(flags, names2)} IOPL=${(flags & IOPL2) >> 12}`.trim();
}
var CODE_OR_DATA = ["read", "read, accessed", "read/write", "read/write, accessed"];
var SYSTEM_TYPES = {
  1: "16-bit TSS (available)",
  2: "LDT",
  3: "16-bit TSS (busy)",
  9: "TSS (available)",
  11: "TSS (busy)"
};
function segmentMeaning(base, limit, access) {
  if (access & 1 << 16) return "unusable";
  const type = access & 15;
  let kind;
  if ((access & 16) === 0) kind = SYSTEM_TYPES[type] ?? `system type ${type}`;
  else if (type & 8)
    kind = `code ${access & 1 << 13 ? 64 : access & 1 << 14 ? 32 : 16}-bit${type & 2 ? ", readable" : ""}${type & 4 ? ", conforming" : ""}`;
  else kind = `data ${CODE_OR_DATA[type & 3]}${type & 4 ? ", expand-down" : ""}`;
  return `base 0x${base.toString(16)}, limit 0x${limit.toString(16)}, ${kind}, DPL ${access >> 5 & 3}${access & 128 ? "" : ", not present"}`;
}
var RegisterFile = class {
  constructor(processor) {
    this.processor = processor;
    this.defineGeneral();
    this.defineSegments();
    this.defineControl();
    this.model = this.defineModelSpecific();
    this.defineFloatingPoint();
  }
  processor;
  byName = /* @__PURE__ */ new Map();
  /** Names as the list shows them, by mode. */
  model;
  defineGeneral() {
    const { u8, view, i64: i6410 } = this.processor.core.state;
    const cut = (bits2) => (value) => BigInt.asUintN(bits2, value);
    for (let index2 = 0; index2 < 16; index2++) {
      const at = State.gpr + index2 * 8;
      const legacy = GENERAL[index2];
      const add4 = (name, width, write) => this.byName.set(name, { group: "general", width, read: () => cut(width)(i6410[at >> 3]), write });
      add4(legacy ? `r${legacy}` : `r${index2}`, 64, (value) => view.setBigUint64(at, value, true));
      add4(legacy ? `e${legacy}` : `r${index2}d`, 32, (value) => view.setBigUint64(at, value, true));
      add4(legacy ?? `r${index2}w`, 16, (value) => view.setUint16(at, Number(value), true));
      add4(LOW_BYTES[index2] ?? `r${index2}b`, 8, (value) => view.setUint8(at, Number(value)));
      const high2 = HIGH_BYTES[index2];
      if (high2) {
        this.byName.set(high2, {
          group: "general",
          width: 8,
          read: () => BigInt(u8[at + 1]),
          write: (value) => view.setUint8(at + 1, Number(value))
        });
      }
    }
    const { state, core } = { state: this.processor.core.state, core: this.processor.core };
    for (const [name, width] of [
      ["rip", 64],
      ["eip", 32],
      ["ip", 16]
    ]) {
      this.byName.set(name, {
        group: "general",
        width,
        read: () => cut(width)(state.rip),
        write: (value) => {
          state.rip = value;
        }
      });
    }
    for (const [name, width] of [
      ["rflags", 64],
      ["eflags", 32],
      ["flags", 16]
    ]) {
      this.byName.set(name, {
        group: "general",
        width,
        read: () => cut(width)(BigInt(core.readEflags() >>> 0)),
        write: (value) => core.writeEflags(Number(value & 0xffffffffn) | 0, Eflags.arithmetic | Eflags.rest),
        meaning: flagsMeaning
      });
    }
  }
  defineSegments() {
    const { state } = this.processor.core;
    const { i32: i329, i64: i6410 } = state;
    const slotMeaning = (segment) => () => {
      const slot = segmentSlot(segment);
      return segmentMeaning(
        BigInt.asUintN(64, i6410[slot + SegmentSlot.base >> 3]),
        i329[slot + SegmentSlot.limit >> 2] >>> 0,
        i329[slot + SegmentSlot.access >> 2]
      );
    };
    for (const [name, segment] of Object.entries(Segment)) {
      const slot = segmentSlot(segment);
      this.byName.set(name, {
        group: "segments",
        width: 16,
        read: () => BigInt(i329[slot + SegmentSlot.selector >> 2] & 65535),
        meaning: slotMeaning(segment)
      });
      this.byName.set(`${name}_base`, {
        group: "segments",
        width: 64,
        read: () => BigInt.asUintN(64, i6410[slot + SegmentSlot.base >> 3])
      });
    }
    const table = (name, base, limit) => {
      this.byName.set(name, {
        group: "system",
        width: 64,
        read: () => BigInt.asUintN(64, i6410[base >> 3]),
        meaning: () => `limit 0x${(i329[limit >> 2] & 65535).toString(16)}`
      });
    };
    table("gdtr", State.gdtrBase, State.gdtrLimit);
    table("idtr", State.idtrBase, State.idtrLimit);
    this.byName.set("cpl", { group: "system", width: 2, read: () => BigInt(i329[State.cpl >> 2]) });
  }
  defineControl() {
    const { state } = this.processor.core;
    const { i64: i6410 } = state;
    const word = (at) => BigInt.asUintN(64, i6410[at >> 3]);
    const add4 = (name, group, at, meaning) => this.byName.set(name, { group, width: 64, read: () => word(at), ...meaning ? { meaning } : {} });
    add4("cr0", "control", State.cr0, (value) => bitNames(Number(value & 0xffffffffn) | 0, Cr0));
    add4("cr2", "control", State.cr2);
    add4("cr3", "control", State.cr3);
    add4("cr4", "control", State.cr4, (value) => bitNames(Number(value & 0xffffffffn) | 0, Cr4));
    add4("cr8", "control", State.cr8);
    add4("efer", "control", State.efer, (value) => bitNames(Number(value & 0xffffffffn) | 0, Efer));
    for (const number of [0, 1, 2, 3, 6, 7]) add4(`dr${number}`, "debug", State.dr + number * 8);
  }
  defineModelSpecific() {
    const names2 = [];
    for (const { name, address } of this.processor.modelSpecific.list()) {
      const lower = name.toLowerCase();
      names2.push(lower);
      this.byName.set(lower, {
        group: "msr",
        width: 64,
        read: () => this.processor.modelSpecific.list().find((row) => row.address === address)?.value ?? 0n,
        meaning: () => `MSR 0x${address.toString(16)}`
      });
    }
    return names2;
  }
  defineFloatingPoint() {
    const { i32: i329, view } = this.processor.core.state;
    const word = (name, group, at, width = 16) => this.byName.set(name, { group, width, read: () => BigInt(i329[at >> 2] >>> 0) });
    word("fcw", "x87", State.x87Control);
    word("fsw", "x87", State.x87Status);
    word("ftw", "x87", State.x87Tag, 8);
    for (let index2 = 0; index2 < 8; index2++) {
      this.byName.set(`st${index2}`, {
        group: "x87",
        width: 80,
        read: () => {
          const top = i329[State.x87Status >> 2] >> 11 & 7;
          const at = State.x87 + (top + index2 & 7) * 16;
          return view.getBigUint64(at, true) | BigInt(view.getUint16(at + 8, true)) << 64n;
        }
      });
      this.byName.set(`mm${index2}`, {
        group: "x87",
        width: 64,
        read: () => view.getBigUint64(State.x87 + index2 * 16, true)
      });
    }
    for (let index2 = 0; index2 < 16; index2++) {
      const at = State.xmm + index2 * 16;
      this.byName.set(`xmm${index2}`, {
        group: "sse",
        width: 128,
        read: () => view.getBigUint64(at, true) | view.getBigUint64(at + 8, true) << 64n,
        write: (value) => {
          view.setBigUint64(at, value & 0xffffffffffffffffn, true);
          view.setBigUint64(at + 8, value >> 64n, true);
        }
      });
    }
    word("mxcsr", "sse", State.mxcsr, 32);
  }
  get longMode() {
    return this.processor.core.state.longMode;
  }
  /** The names that make sense in the current mode, in the order of the manual. */
  names() {
    const wide = this.longMode;
    const general = wide ? [...GENERAL.map((name) => `r${name}`), ...Array.from({ length: 8 }, (_, n) => `r${n + 8}`), "rip", "rflags"] : [...GENERAL.map((name) => `e${name}`), "eip", "eflags"];
    return [
      ...general,
      ...SEGMENTS,
      "ldtr",
      "tr",
      "gdtr",
      "idtr",
      "cr0",
      "cr2",
      "cr3",
      "cr4",
      ...wide ? ["cr8"] : [],
      "efer",
      "dr0",
      "dr1",
      "dr2",
      "dr3",
      "dr6",
      "dr7",
      "fcw",
      "fsw",
      "ftw",
      ...Array.from({ length: 8 }, (_, n) => `st${n}`),
      ...Array.from({ length: wide ? 16 : 8 }, (_, n) => `xmm${n}`),
      "mxcsr",
      ...this.model
    ];
  }
  list() {
    return this.names().map((name) => {
      const register = this.byName.get(name);
      const value = register.read();
      const width = !this.longMode && register.width === 64 && register.group !== "msr" ? 32 : register.width;
      return {
        name,
        group: register.group,
        width,
        value,
        meaning: register.meaning?.(value) ?? "",
        writable: register.write !== void 0
      };
    });
  }
  /** undefined when there is no register of that name. */
  read(name) {
    return this.byName.get(name.toLowerCase())?.read();
  }
  /** @throws {MachineError} */
  write(name, value) {
    const register = this.byName.get(name.toLowerCase());
    if (!register) throw new MachineError(`There is no register ${name}.`);
    if (!register.write)
      throw new MachineError(
        `The register ${name} cannot be changed here: let the guest load it, so that what follows from it happens too.`
      );
    const unsigned = BigInt.asUintN(register.width, value);
    if (unsigned !== value && BigInt.asIntN(register.width, value) !== value) {
      throw new MachineError(`0x${value.toString(16)} does not fit ${name}, which has ${register.width} bits.`);
    }
    register.write(unsigned);
  }
};

// emulator/machine/serial-input.ts
var RETRY = 1e5;
var MOST_WAITING = 1 << 20;
var SerialInput = class {
  constructor(clock, port) {
    this.clock = clock;
    this.port = port;
  }
  clock;
  port;
  log = [];
  waiting = new Uint8Array(0);
  armed = false;
  /** Bytes beyond 1 MiB that the guest has not read are dropped. */
  queue(bytes, instruction2) {
    this.log.push({ instruction: instruction2, bytes: bytes.slice() });
    const room = Math.max(0, MOST_WAITING - this.waiting.length);
    const joined = new Uint8Array(this.waiting.length + Math.min(room, bytes.length));
    joined.set(this.waiting);
    joined.set(bytes.subarray(0, room), this.waiting.length);
    this.waiting = joined;
    this.arm(this.clock.now());
  }
  arm(time) {
    if (this.armed) return;
    this.armed = true;
    this.clock.at(time, () => {
      this.armed = false;
      this.waiting = this.waiting.slice(this.port.receive(this.waiting));
      if (this.waiting.length > 0) this.arm(this.clock.now() + RETRY);
    });
  }
};

// emulator/machine/watchpoint-set.ts
var WatchpointSet = class {
  /** @param hit called for each watchpoint that an access touches. Linear and physical (gpa:, hpa:) ranges are compared as given. */
  constructor(hit) {
    this.hit = hit;
  }
  hit;
  watchpoints = [];
  set(watchpoints) {
    this.watchpoints = watchpoints;
  }
  watches(linearLow, linearHigh, physicalPage) {
    const linearPage = (BigInt(linearHigh >>> 0) << 32n | BigInt(linearLow >>> 0)) >> 12n;
    let wanted = WatchedFor.nothing;
    for (const { address, length, access } of this.watchpoints) {
      const page = address.space === "lin" ? linearPage : BigInt(physicalPage);
      if (page < address.value >> 12n || page > address.value + BigInt(length) - 1n >> 12n) continue;
      if (access !== "write") wanted |= WatchedFor.reads;
      if (access !== "read") wanted |= WatchedFor.writes;
    }
    return wanted;
  }
  accessed(access) {
    for (const watchpoint of this.watchpoints) {
      if (watchpoint.access !== "readWrite" && watchpoint.access === "write" !== access.write) continue;
      const start = watchpoint.address.space === "lin" ? access.linear : BigInt(access.physical);
      if (start + BigInt(access.size) <= watchpoint.address.value) continue;
      if (start >= watchpoint.address.value + BigInt(watchpoint.length)) continue;
      this.hit(watchpoint, access);
    }
  }
};

// emulator/machine/native-machine.ts
var NativeProcessor = class {
  constructor(host) {
    this.host = host;
    this.file = new RegisterFile(host.processor);
  }
  host;
  id = 1;
  kind = "vcpu";
  file;
  describe() {
    const { state } = this.host.processor.core;
    return `vCPU 0 (${state.modeName}, CPL ${state.i32[State.cpl >> 2]}, CR3 0x${this.register("cr3").toString(16)})`;
  }
  codeSize() {
    return 8 << this.host.physical.i32[State.codeSize >> 2];
  }
  instructionPointer() {
    return this.host.processor.core.state.rip;
  }
  linearInstructionPointer() {
    const base = this.host.physical.i64[segmentSlot(Segment.cs) + SegmentSlot.effectiveBase >> 3];
    const linear = base + this.instructionPointer();
    return BigInt.asUintN(this.codeSize() === 64 ? 64 : 32, linear);
  }
  registers() {
    return this.file.list();
  }
  register(name) {
    return this.file.read(name);
  }
  setRegister(name, value) {
    this.file.write(name, value);
  }
  readMemory(address, length) {
    if (address.space === "lin") return this.host.processor.core.memory.peekLinear(address.value, length);
    const { start, available } = this.physicalRange(address, length);
    return available > 0 ? this.host.physical.peek(start, available) : void 0;
  }
  writeMemory(address, bytes) {
    if (address.space === "lin") return this.host.processor.core.memory.pokeLinear(address.value, bytes);
    const { start, available } = this.physicalRange(address, bytes.length);
    return available > 0 && this.host.physical.poke(start, bytes.subarray(0, available)) ? available : 0;
  }
  /** How many of `length` bytes from a physical address on lie in RAM or ROM. */
  physicalRange(address, length) {
    if (address.space === "iova")
      throw new MachineError("There are no device addresses (iova:) in this machine: no IOMMU translates them.");
    const start = address.value < 0n || address.value >= 1n << 52n ? -1 : Number(address.value);
    if (start < 0) return { start: 0, available: 0 };
    let available = 0;
    while (available < length && this.host.physical.isBacked(start + available)) {
      available = Math.min(length, available + 4096 - (start + available & 4095));
    }
    return { start, available };
  }
  walk(linear, access = {}) {
    const { core } = this.host.processor;
    const user = access.user ?? core.state.i32[State.cpl >> 2] === 3;
    const walk = inspectWalk(physicalTables(this.host.physical), inspectedTables(core.state), linear, {
      ...access,
      user
    });
    const steps = walk.steps.map((step2) => ({
      ...step2,
      entryAddress: { space: "gpa", value: BigInt(step2.entryAddress) }
    }));
    const result = walk.result && {
      ...walk.result,
      address: { space: "gpa", value: BigInt(walk.result.address) }
    };
    return [{ table: "guest", linear, steps, ...result ? { result } : {} }];
  }
  mappings(table, from, limit) {
    if (table !== "guest")
      throw new MachineError(
        `There is no table "${table}" under "none": the guest's own ("guest") are the hardware's.`
      );
    const found = inspectMappings(
      physicalTables(this.host.physical),
      inspectedTables(this.host.processor.core.state),
      from,
      limit
    );
    return found.mappings.map((mapping) => ({
      ...mapping,
      target: { space: "gpa", value: BigInt(mapping.target) }
    }));
  }
  translate(linear, space) {
    if (space === "lin") return linear;
    if (space === "iova") return void 0;
    const physical = translateInspected(this.host.physical, inspectedTables(this.host.processor.core.state), linear);
    return physical === void 0 ? void 0 : BigInt(physical);
  }
};
var NativeMachine = class {
  /** @throws {MachineError} when the image cannot be started. */
  constructor(configuration) {
    this.configuration = configuration;
    this.host = new HostMachine({
      memoryBytes: configuration.memory,
      onSerial: (byte) => {
        for (const listener of this.serialListeners) listener(new Uint8Array([byte]));
      },
      onDebugConsole: (byte) => {
        for (const listener of this.consoleListeners) listener(byte);
      },
      onReset: () => {
        this.resetAsked = true;
      }
    });
    this.processor = new NativeProcessor(this.host);
    this.input = new SerialInput(this.host.clock, this.host.devices.com1);
    this.watchpoints = new WatchpointSet((watchpoint, access) => this.watchHit(watchpoint, access));
    this.host.processor.delivery.onEvent = (vector2, errorCode, source) => this.seeEvent(vector2, errorCode, source);
    this.host.processor.core.state.onModeChange = (mode, previous) => this.seeMode(mode, previous);
    this.start();
  }
  configuration;
  technique = "none";
  host;
  processor;
  input;
  watchpoints;
  serialListeners = [];
  consoleListeners = [];
  breakpoints = [];
  filters = [];
  pending;
  ended;
  resetAsked = false;
  start() {
    const { configuration, host } = this;
    host.powerOn();
    host.physical.u8.fill(0, RAM_BASE, RAM_BASE + host.physical.ramBytes);
    this.ended = void 0;
    this.pending = void 0;
    this.resetAsked = false;
    if (!configuration.image) {
      throw new MachineError("Starting from firmware is not possible in this version: name a kernel image.");
    }
    const target = {
      size: configuration.memory,
      write: (address, bytes) => void host.physical.poke(address, bytes)
    };
    const boot = loadImage(configuration.image, configuration, target);
    enterBootState(host.processor, boot);
  }
  processors() {
    return [this.processor];
  }
  instructionCount() {
    return this.host.engine.retired;
  }
  run(instructions) {
    if (this.ended) return this.ended;
    const end = this.host.engine.retired + instructions;
    this.host.engine.passBreakpoint();
    while (this.host.engine.retired < end) {
      const stop = this.conclude(this.host.run(end - this.host.engine.retired));
      if (stop) return stop;
    }
    return void 0;
  }
  /** What a stop of the host means; undefined to go on. */
  conclude(stop) {
    if (this.resetAsked) {
      this.start();
      return void 0;
    }
    if (this.pending) {
      const { pending } = this;
      this.pending = void 0;
      return pending;
    }
    switch (stop?.kind) {
      case "breakpoint": {
        const hits = this.breakpointsHere();
        if (hits.length > 0) return { reason: "breakpoint", processor: 1, ids: hits };
        this.host.engine.passBreakpoint();
        return void 0;
      }
      case "shutdown":
        return this.end({ reason: "triple-fault", processor: 1, description: this.describeShutdown() });
      case "halted":
        return this.end({
          reason: "halted",
          description: "The processor is halted, and nothing that is pending can wake it."
        });
      case "poweroff":
        return this.end({ reason: "poweroff" });
      case "debug-exit":
        return this.end({ reason: "debug-exit", value: stop.value });
      default:
        return void 0;
    }
  }
  end(stop) {
    this.ended = stop;
    return stop;
  }
  describeShutdown() {
    const rip = this.processor.linearInstructionPointer();
    return `Triple fault: the processor shut down at 0x${rip.toString(16)} (${this.processor.describe()}).`;
  }
  breakpointsHere() {
    const linear = this.processor.linearInstructionPointer();
    let physical;
    return this.breakpoints.filter(({ address }) => {
      if (address.space === "lin") return address.value === linear;
      physical ??= this.processor.translate(linear, "gpa");
      return address.value === physical;
    }).map(({ id }) => id);
  }
  step(_processor, options3 = {}) {
    if (this.ended) return this.ended;
    this.host.holdInterrupts = !options3.takeInterrupts;
    try {
      this.host.engine.passBreakpoint();
      return this.conclude(this.host.run(1)) ?? { reason: "step", processor: 1 };
    } finally {
      this.host.holdInterrupts = false;
    }
  }
  setExecutionBreakpoints(breakpoints) {
    this.breakpoints = breakpoints;
    this.host.engine.code.setBreakpointOffsets(
      new Set(breakpoints.map(({ address }) => Number(address.value & 0xfffn)))
    );
  }
  setWatchpoints(watchpoints) {
    this.watchpoints.set(watchpoints);
    this.host.processor.setWatches(watchpoints.length > 0 ? [this.watchpoints] : []);
  }
  watchHit(watchpoint, access) {
    if (this.pending) return;
    this.pending = {
      reason: "watchpoint",
      processor: 1,
      id: watchpoint.id,
      access: access.write ? "write" : "read",
      address: watchpoint.address.space === "lin" ? { space: "lin", value: access.linear } : { space: "gpa", value: BigInt(access.physical) },
      length: access.size,
      ...access.oldValue === void 0 ? {} : { oldValue: access.oldValue },
      ...access.newValue === void 0 ? {} : { newValue: access.newValue },
      instruction: this.processor.linearInstructionPointer()
    };
    this.host.stop({ kind: "requested" });
  }
  setEventFilters(filters) {
    this.filters = filters;
  }
  /** Stops before the event is delivered: the state is that of the instruction that caused it. */
  seeEvent(vector2, errorCode, source) {
    const name = source === "external" || source === "nmi" ? "interrupt" : "exception";
    const matching = this.filters.filter(
      (filter) => filter.event === name && (filter.vector === void 0 || filter.vector === vector2) || filter.event === "true-page-fault" && name === "exception" && vector2 === Vector.pageFault
    );
    if (matching.length === 0 || this.pending || this.passing === this.instructionCount()) return false;
    const { state } = this.host.processor.core;
    const linear = this.processor.linearInstructionPointer();
    this.passing = this.instructionCount();
    this.pending = {
      reason: "event",
      processor: 1,
      ids: matching.map(({ id }) => id),
      event: matching[0].event,
      description: `${describeException(vector2, errorCode, source)} at 0x${linear.toString(16)}`,
      vector: vector2,
      ...errorCode === void 0 ? {} : { errorCode },
      ...vector2 === Vector.pageFault ? { faultAddress: BigInt.asUintN(64, state.i64[State.cr2 >> 3]) } : {}
    };
    this.host.stop({ kind: "requested" });
    return false;
  }
  /** Instruction count at which an event has been shown already. */
  passing = -1;
  seeMode(mode, previous) {
    const matching = this.filters.filter((filter) => filter.event === "mode-switch");
    if (matching.length === 0 || this.pending) return;
    this.pending = {
      reason: "event",
      processor: 1,
      ids: matching.map(({ id }) => id),
      event: "mode-switch",
      description: `The processor went from ${previous} to ${mode} mode`
    };
    this.host.stop({ kind: "requested" });
  }
  onSerialOutput(listener) {
    this.serialListeners.push(listener);
  }
  serialInput(bytes) {
    this.input.queue(bytes, this.instructionCount());
  }
  onDebugConsole(listener) {
    this.consoleListeners.push(listener);
  }
  reset() {
    this.start();
  }
  statistics() {
    const { host } = this;
    return {
      instructions: host.engine.retired,
      tiers: { interpreter: host.engine.retired, compiled: 0 },
      tlb: { fills: host.tlb.fills, flushes: host.tlb.flushes },
      interrupts: { delivered: host.processor.delivery.delivered },
      blocks: {
        decoded: host.engine.code.blocksDecoded,
        invalidated: host.engine.code.blocksInvalidated,
        flushes: host.engine.code.flushes
      }
    };
  }
  memoryHash() {
    const { physical } = this.host;
    return sha256(physical.u8.subarray(RAM_BASE, RAM_BASE + physical.ramBytes));
  }
  devices() {
    return this.host.devices.all.map((device) => ({ name: device.name, registers: device.registers() }));
  }
};

// emulator/vmm/breakpoint-map.ts
var VCPU = 1;
var PCPU = 2;
var BreakpointMap = class {
  breakpoints = [];
  code;
  cache;
  /** Page offsets that the engine stops at. */
  offsets = /* @__PURE__ */ new Set();
  attach(code, cache) {
    this.code = code;
    this.cache = cache;
    this.set(this.breakpoints);
  }
  set(breakpoints) {
    this.breakpoints = breakpoints;
    this.offsets.clear();
    for (const { address } of breakpoints) this.offsets.add(Number(address.value & 0xfffn));
    for (const fragment of this.cache?.all() ?? []) if (fragment.valid) this.addTranslations(fragment);
    this.code?.setBreakpointOffsets(this.offsets);
  }
  /** A fragment was made: its copies of instructions with breakpoints get theirs. */
  translated(fragment) {
    const before2 = this.offsets.size;
    this.addTranslations(fragment);
    if (this.offsets.size !== before2) this.code?.setBreakpointOffsets(this.offsets);
  }
  addTranslations(fragment) {
    for (const { address } of this.breakpoints) {
      if (address.space !== "lin" && address.space !== "gpa") continue;
      for (const line of fragment.lines) {
        const matches = address.space === "lin" ? BigInt(line.guest) === address.value : (BigInt(line.guest) & 0xfffn) === (address.value & 0xfffn);
        if (matches) this.offsets.add(fragment.translatedStart + line.offset & 4095);
      }
    }
  }
  /** The stop for the place where the machine stands; undefined when no breakpoint is there. */
  hits(vcpu, pcpu) {
    const host = pcpu.linearInstructionPointer();
    const own = this.breakpoints.filter(
      ({ address }) => address.space === "lin" && address.value === host && this.isTranslated(host) || address.space === "hpa" && address.value === pcpu.translate(host, "hpa")
    );
    if (own.length > 0) return { reason: "breakpoint", processor: PCPU, ids: own.map(({ id }) => id) };
    const recovered = vcpu.view.recovered();
    if (recovered !== void 0 && (!recovered.boundary || recovered.glue)) return void 0;
    const guest = vcpu.linearInstructionPointer();
    const ids = this.breakpoints.filter(
      ({ address }) => address.space === "lin" ? address.value === guest : address.space === "gpa" && address.value === vcpu.translate(guest, "gpa")
    ).map(({ id }) => id);
    return ids.length > 0 ? { reason: "breakpoint", processor: VCPU, ids } : void 0;
  }
  isTranslated(linear) {
    return this.cache !== void 0 && linear >= BigInt(this.cache.start) && linear < BigInt(this.cache.end);
  }
};

// emulator/vmm/guest/guest-page-walk.ts
var Access2 = { read: 0, write: 2, user: 4 };
var Entry = {
  present: 1,
  writable: 2,
  user: 4,
  accessed: 32,
  dirty: 64,
  large: 128,
  global: 256
};
var ERROR_PRESENT = 1;
var ERROR_RESERVED = 8;
var LARGE_RESERVED = 4186112;
var Cr02 = {
  pe: 1,
  mp: 2,
  em: 4,
  ts: 8,
  et: 16,
  ne: 32,
  wp: 65536,
  am: 262144,
  pg: 2147483648 | 0
};
var Cr42 = {
  vme: 1,
  pvi: 2,
  tsd: 4,
  de: 8,
  pse: 16,
  pae: 32,
  pge: 128,
  osfxsr: 512,
  osxmmexcpt: 1024
};
var GuestPageWalk = class {
  constructor(memory, controls) {
    this.memory = memory;
    this.controls = controls;
  }
  memory;
  controls;
  /** Guest-physical address of the byte. */
  physical = 0;
  pdeAddress = 0;
  pde = 0;
  /** -1 when the walk had no second level. */
  pteAddress = -1;
  pte = 0;
  large = false;
  /** Rights of both levels together. */
  writable = false;
  user = false;
  /** Of the page fault when the walk failed. */
  errorCode = 0;
  get paging() {
    return (this.controls.cr0 & Cr02.pg) !== 0;
  }
  /** Walks for the access; true when it is allowed. Changes no guest memory. */
  walk(linear, access) {
    const { cr0, cr3, cr4 } = this.controls;
    this.pteAddress = -1;
    this.large = false;
    if ((cr0 & Cr02.pg) === 0) {
      this.physical = linear >>> 0;
      this.writable = this.user = true;
      return true;
    }
    this.pdeAddress = (cr3 & 4294963200 | linear >>> 20 & 4092) >>> 0;
    const pde = this.pde = this.memory.read32(this.pdeAddress);
    if ((pde & Entry.present) === 0) return this.fail(access);
    let rights = pde;
    if ((pde & Entry.large) !== 0 && (cr4 & Cr42.pse) !== 0) {
      if ((pde & LARGE_RESERVED) !== 0) return this.fail(access | ERROR_PRESENT | ERROR_RESERVED);
      this.large = true;
      this.physical = (pde & 4290772992 | linear & 4194303) >>> 0;
    } else {
      this.pteAddress = (pde & 4294963200 | linear >>> 10 & 4092) >>> 0;
      const pte = this.pte = this.memory.read32(this.pteAddress);
      if ((pte & Entry.present) === 0) return this.fail(access);
      rights &= pte;
      this.physical = (pte & 4294963200 | linear & 4095) >>> 0;
    }
    this.writable = (rights & Entry.writable) !== 0;
    this.user = (rights & Entry.user) !== 0;
    if ((access & Access2.user) !== 0 && !this.user) return this.fail(access | ERROR_PRESENT);
    if ((access & Access2.write) !== 0 && !this.writable && ((access & Access2.user) !== 0 || (cr0 & Cr02.wp) !== 0))
      return this.fail(access | ERROR_PRESENT);
    return true;
  }
  /** Sets the accessed and dirty bits that the access of the last, successful walk sets (SDM Vol. 3A §4.8). */
  markAccessed(access) {
    if (!this.paging) return;
    const dirty = (access & Access2.write) !== 0 ? Entry.dirty : 0;
    const leaf = Entry.accessed | dirty;
    const pdeBits = this.large ? leaf : Entry.accessed;
    if ((this.pde & pdeBits) !== pdeBits) {
      this.memory.setBits(this.pdeAddress, pdeBits);
      this.pde |= pdeBits;
    }
    if (this.pteAddress >= 0 && (this.pte & leaf) !== leaf) {
      this.memory.setBits(this.pteAddress, leaf);
      this.pte |= leaf;
    }
  }
  fail(errorCode) {
    this.errorCode = errorCode;
    return false;
  }
};

// emulator/vmm/layout.ts
var VMM_BASE = 4290772992;
var VMM_DIRECTORY_INDEX = 1023;
var VMM_BYTES = 4194304;
var Area = {
  vcpuBlock: 0,
  /** 256 dwords each, indexed by bits 15:8 of a flags image; see PopfTable. */
  popfSpecial: 4096,
  popfInterruptAdjust: 5120,
  globalDescriptorTable: 65536,
  localDescriptorTable: 131072,
  interruptDescriptorTable: 196608,
  taskState: 200704,
  /** One page; the stack starts at its end. */
  stack: 204800,
  stackEnd: 208896,
  /** 65536 dwords: where `ret` and indirect jumps look up their target by its low 16 bits. */
  returnTable: 262144,
  /** Buckets of 8 bytes: guest address, address of the fragment (0 = free). */
  hashTable: 524288,
  hashTableEnd: 786432,
  /** Compiled code fragments. */
  translationCache: 1048576,
  /** Slots of LAUNCH_BYTES: checked entries of fragments for indirect transfers; the first slot is the common miss. */
  launches: 3145728,
  /** Slots of CONTINUATION_BYTES. */
  continuations: 3670016,
  translationCacheEnd: 4186112,
  /** The page that the host's interrupt gates point into: one entry of 16 bytes a vector. */
  entryPage: 4190208
};
var HASH_BUCKETS = (Area.hashTableEnd - Area.hashTable) / 8;
var ENTRY_BYTES = 16;
var LAUNCH_BYTES = 32;
var CONTINUATION_BYTES = 4;
var VcpuBlock = {
  /** Spilled %ecx and %eax of translated sequences. */
  savedEcx: 0,
  savedEax: 4,
  /** Target of the indirect transfer under way. */
  target: 8,
  /** What PUSHF adds to the real flags image: 0 while the guest's IF is 1, -0x200 while it is 0. */
  interruptAdjust: 12,
  /** Nonzero when a virtual interrupt waits for the guest's IF. */
  pendingInterrupt: 16,
  /** Selectors as the guest has them, zero-extended: what MOV and PUSH of them give. */
  guestCs: 20,
  guestSs: 24,
  guestGs: 28,
  guestLdtr: 32,
  guestTr: 36,
  /** 512 bytes: memory operand of a simulated instruction. */
  bounce: 64,
  bounceBytes: 512
};
var INTERRUPTS_OFF = -512;
var HostSelector = {
  /** Cached descriptors: SS of translated code (RPL 1); SS and GS of user code whose own descriptors are no longer those that it loaded (RPL 3). */
  cachedStack: 65457,
  cachedGs: 65467,
  /** Data, base VMM_BASE: %gs in translated code (RPL 1). */
  vmmData: 65473,
  /** Code of the translation cache, flat (RPL 1). */
  translatedCode: 65481,
  /** Ring 0 code and stack of the VMM. */
  code: 65488,
  stack: 65496,
  taskState: 65504,
  localDescriptorTable: 65512
};
var FIRST_VMM_DESCRIPTOR = HostSelector.cachedStack & ~7;
var HostVector = { callout: 240, continuation: 241, interrupts: 224 };
var VMM_INTERRUPT_LINE = 5;

// emulator/vmm/translate/fragment.ts
var Undo = {
  /** %ecx lies in VcpuBlock.savedEcx. */
  ecx: 1,
  /** %eax lies in VcpuBlock.savedEax. */
  eax: 2,
  /** The guest's EIP lies in VcpuBlock.target, not in the entry. */
  target: 4,
  /** POPF has loaded the flags; what is left is to store the interrupt adjustment from %ecx and to restore %ecx. */
  finishPopf: 8,
  /** A simulated instruction is half done: a virtual interrupt waits for the callout that ends it. */
  hold: 16
};
var Fragment = class {
  constructor(id, guestStart, translatedStart, generation) {
    this.id = id;
    this.guestStart = guestStart;
    this.translatedStart = translatedStart;
    this.generation = generation;
  }
  id;
  guestStart;
  translatedStart;
  generation;
  lines = [];
  recovery = [];
  exits = [];
  /** Linear addresses of this fragment's callout sites, to forget them with it. */
  sites = [];
  /** Exclusive ends. */
  guestEnd = 0;
  translatedEnd = 0;
  /** Times that the VMM dispatched to it. */
  entries = 0;
  valid = true;
  /** Guest-physical pages that hold its bytes, and where in each: [page, first offset, end offset]. */
  pages = [];
  /** Linear address of the code that checks the target of an indirect transfer before it enters; 0 = none yet. */
  launch = 0;
  /** The recovery entry for a linear address in the translation cache. */
  recoveryAt(address) {
    const offset = address - this.translatedStart;
    const { recovery } = this;
    let low2 = 0;
    let high2 = recovery.length - 1;
    while (low2 < high2) {
      const middle = low2 + high2 + 1 >> 1;
      if (recovery[middle].offset <= offset) low2 = middle;
      else high2 = middle - 1;
    }
    return recovery[low2];
  }
};

// emulator/vmm/translate/recovery.ts
var LAUNCH_JUMP = 24;
function recover(cache, memory, address) {
  const fragment = cache.at(address);
  if (fragment !== void 0) {
    const entry = fragment.recoveryAt(address);
    const eip = entry.undo & Undo.target ? memory.read32(VcpuBlock.target) >>> 0 : entry.guest;
    const atEntry = address === fragment.translatedStart + entry.offset;
    return {
      eip,
      undo: entry.undo,
      stackAdjust: entry.stackAdjust,
      boundary: entry.boundary && atEntry,
      glue: entry.glue,
      shadowed: entry.shadowed && atEntry,
      fragment
    };
  }
  const site = cache.site(address);
  if (site !== void 0 || address >= VMM_BASE + Area.continuations) {
    const continuation = site ?? cache.site(address - address % CONTINUATION_BYTES);
    if (continuation === void 0) throw new RangeError(`No guest state at ${address.toString(16)}.`);
    return glue(continuation.next, 0);
  }
  const launch = cache.launchAt(address);
  if (launch === void 0) throw new RangeError(`No guest state at ${address.toString(16)}.`);
  const target = memory.read32(VcpuBlock.target) >>> 0;
  return glue(target, (address - VMM_BASE - Area.launches) % LAUNCH_BYTES >= LAUNCH_JUMP ? 0 : Undo.ecx);
}
function glue(eip, undo) {
  return { eip, undo, stackAdjust: 0, boundary: undo === 0, glue: true, shadowed: false, fragment: void 0 };
}

// emulator/vmm/guest-view.ts
var ESP = 4;
var ECX = 1;
var EAX = 0;
var GENERAL2 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
var PART = /^([abcd])([lhx])$|^(sp|bp|si|di)$/;
var GuestView = class {
  constructor(monitor) {
    this.monitor = monitor;
    const physical = new PhysicalMemory(4096);
    this.processor = new ArchitecturalProcessor({
      physical,
      tlb: new TranslationLookasideBuffer(physical),
      ports: { read: () => 0, write: () => {
      } },
      timestamp: () => monitor.host.now(),
      retired: () => monitor.host.engine.retired
    });
    this.file = new RegisterFile(this.processor);
  }
  monitor;
  processor;
  file;
  /** How the guest's state follows from the host's; undefined when the VMM or user code holds it as it is. */
  recovered() {
    const { monitor } = this;
    if (monitor.holdsGuestRegisters) return void 0;
    const { state } = monitor.control;
    if (state.cpl !== 1) return void 0;
    return recover(monitor.cache, monitor.vmm, state.eip);
  }
  /** Guest EIP at the boundary. */
  get eip() {
    const { monitor } = this;
    if (monitor.holdsGuestRegisters) return monitor.registers.eip >>> 0;
    const recovered = this.recovered();
    if (recovered === void 0) return monitor.control.state.eip;
    if ((recovered.undo & Undo.finishPopf) === 0) return recovered.eip;
    const line = recovered.fragment?.lines.find((one2) => one2.guest === recovered.eip);
    return recovered.eip + (line?.guestBytes.length ?? 1);
  }
  /** Builds the guest's state in a processor of its own. */
  build() {
    const { monitor } = this;
    const { vcpu, vmm, guest, registers } = monitor;
    const host = monitor.control.state;
    const { state } = this.processor.core;
    state.u8.set(host.u8.subarray(0, State.end), 0);
    let flags;
    if (monitor.holdsGuestRegisters) {
      state.setGpr32(ESP, registers.esp | 0);
      flags = guest.eflags;
    } else {
      const recovered = this.recovered();
      flags = monitor.host.processor.core.flags.readEflags() & ~12800 | vcpu.iopl << 12;
      if (vcpu.interruptFlag) flags |= 512;
      if (recovered) {
        flags = flags & ~256 | (vcpu.trapFlag ? 256 : 0);
        if (recovered.undo & (Undo.ecx | Undo.finishPopf)) state.setGpr32(ECX, vmm.read32(VcpuBlock.savedEcx));
        if (recovered.undo & Undo.eax) state.setGpr32(EAX, vmm.read32(VcpuBlock.savedEax));
        state.setGpr32(ESP, host.gpr32(ESP) + recovered.stackAdjust | 0);
      }
    }
    state.setRip(this.eip | 0, 0);
    this.processor.core.flags.writeEflags(flags, -1);
    const segment = (index2, value) => state.setSegment(index2, value.selector, value.access, value.base | 0, 0, value.limit);
    const user = !monitor.holdsGuestRegisters && host.cpl === 3;
    for (const index2 of [Segment.es, Segment.ds, Segment.fs]) segment(index2, guest.quietSegment(index2));
    segment(Segment.cs, vcpu.cs);
    segment(Segment.ss, vcpu.ss);
    if (user) {
      segment(Segment.cs, guest.quietSegment(Segment.cs, host));
      segment(Segment.ss, guest.quietSegment(Segment.ss, host));
      segment(Segment.gs, guest.quietSegment(Segment.gs, host));
    } else segment(Segment.gs, vcpu.gs);
    segment(Segment.ldtr, vcpu.ldtr);
    segment(Segment.tr, vcpu.tr);
    state.cpl = vcpu.cpl;
    const set = (at, value) => {
      state.i64[at >> 3] = BigInt(value >>> 0);
    };
    set(State.cr0, vcpu.cr0);
    set(State.cr2, vcpu.cr2);
    set(State.cr3, vcpu.cr3);
    set(State.cr4, vcpu.cr4);
    for (let index2 = 0; index2 < 8; index2++) set(State.dr + index2 * 8, vcpu.dr[index2]);
    set(State.gdtrBase, vcpu.gdtr.base);
    set(State.idtrBase, vcpu.idtr.base);
    state.i32[State.gdtrLimit >> 2] = vcpu.gdtr.limit;
    state.i32[State.idtrLimit >> 2] = vcpu.idtr.limit;
    state.updateMode();
  }
  list() {
    this.build();
    return this.file.list();
  }
  read(name) {
    this.build();
    return this.file.read(name);
  }
  /** @throws {MachineError} when the register does not exist or cannot be changed under binary translation */
  write(name, value) {
    this.build();
    this.file.write(name, value);
    const { state } = this.processor.core;
    const { monitor } = this;
    const lower = name.toLowerCase();
    const host = monitor.control.state;
    if (lower === "eip" || lower === "rip" || lower === "ip") monitor.moveTo(Number(state.rip));
    else if (lower === "eflags" || lower === "rflags" || lower === "flags") monitor.setEflags(Number(value));
    else if (GENERAL2.includes(lower) || PART.test(lower)) {
      monitor.takeGuestRegisters();
      for (let register = 0; register < 8; register++) monitor.registers.write32(register, state.gpr32(register));
    } else if (/^(xmm|st|mm|mxcsr|fcw|fsw)/.test(lower)) {
      host.u8.set(state.u8.subarray(State.xmm, State.mxcsr + 4), State.xmm);
    } else throw new MachineError(`Register ${name} cannot be changed while the guest runs under "bt".`);
  }
};

// emulator/vmm/guest-processor.ts
var GuestProcessor = class {
  constructor(monitor) {
    this.monitor = monitor;
    this.view = new GuestView(monitor);
  }
  monitor;
  id = 1;
  kind = "vcpu";
  view;
  describe() {
    const { vcpu } = this.monitor;
    const mode = vcpu.cpl === 3 ? "direct execution" : "binary translation";
    return `vCPU 0 (CPL ${vcpu.cpl}, CR3 0x${(vcpu.cr3 >>> 0).toString(16)}, ${mode})`;
  }
  codeSize() {
    return this.monitor.vcpu.cs.access & 16384 ? 32 : 16;
  }
  instructionPointer() {
    return BigInt(this.view.eip >>> 0);
  }
  linearInstructionPointer() {
    return BigInt(this.view.eip + this.monitor.vcpu.cs.base >>> 0);
  }
  registers() {
    return this.view.list();
  }
  register(name) {
    return this.view.read(name);
  }
  setRegister(name, value) {
    this.view.write(name, value);
  }
  /** The guest's tables lie in guest-physical memory. */
  tableMemory = {
    page: (address) => {
      const { physical } = this.monitor;
      if (!physical.isRam(Math.floor(address / 4096))) return void 0;
      const frame = physical.pmap[Math.floor(address / 4096)];
      if (frame < 0) return new Int32Array(1024);
      const first = (RAM_BASE + frame * 4096) / 4;
      return physical.host.i32.subarray(first, first + 1024);
    }
  };
  guestTables() {
    const { vcpu } = this.monitor;
    return {
      paging: vcpu.cr0 & Cr02.pg ? "32-bit" : "none",
      root: (vcpu.cr3 & 4294963200) >>> 0,
      pageSizeExtension: (vcpu.cr4 & Cr42.pse) !== 0,
      executeDisable: false,
      writeProtect: (vcpu.cr0 & Cr02.wp) !== 0
    };
  }
  shadowTables() {
    return {
      paging: "32-bit",
      root: this.monitor.shadow.rootFrame * 4096,
      pageSizeExtension: false,
      executeDisable: false,
      writeProtect: true
    };
  }
  hostAddress(guestPhysical) {
    const frame = this.monitor.physical.pmap[Math.floor(guestPhysical / 4096)];
    return frame === void 0 || frame < 0 ? void 0 : frame * 4096 + guestPhysical % 4096;
  }
  /** Calls `part` for the pieces of a range that lie in one page each, with their guest-physical address, while it gives true. */
  pieces(address, length, part) {
    if (address.space === "iova") throw new MachineError("There are no device addresses (iova:): no IOMMU is there.");
    for (let done = 0; done < length; ) {
      const value = address.value + BigInt(done);
      if (value < 0n || value >= 1n << 32n) return;
      const physical = address.space === "lin" ? translateInspectedIn(this.tableMemory, this.guestTables(), value) : Number(value);
      if (physical === void 0) return;
      const size = Math.min(length - done, 4096 - physical % 4096);
      if (!part(physical, done, size)) return;
      done += size;
    }
  }
  readMemory(address, length) {
    const bytes = new Uint8Array(length);
    let available = 0;
    const { physical, host } = this.monitor;
    this.pieces(address, length, (at, done, size) => {
      const found = address.space === "hpa" ? host.physical.peek(at, size) : physical.peek(at, size);
      if (found === void 0) return false;
      bytes.set(found, done);
      available = done + size;
      return true;
    });
    return available === 0 ? void 0 : bytes.subarray(0, available);
  }
  writeMemory(address, bytes) {
    let written = 0;
    const { physical, host } = this.monitor;
    this.pieces(address, bytes.length, (at, done, size) => {
      const part = bytes.subarray(done, done + size);
      if (!(address.space === "hpa" ? host.physical.poke(at, part) : physical.poke(at, part))) return false;
      written = done + size;
      return true;
    });
    return written;
  }
  walk(linear, access = {}) {
    const asked = { ...access, user: access.user ?? this.monitor.vcpu.cpl === 3 };
    const hostMemory = physicalTables(this.monitor.host.physical);
    const guest = inspectWalk(this.tableMemory, this.guestTables(), linear, asked);
    const shadow = inspectWalk(hostMemory, this.shadowTables(), linear, asked);
    return [inSpace("guest", "gpa", linear, guest), inSpace("shadow", "hpa", linear, shadow)];
  }
  mappings(table, from, limit) {
    const space = table === "guest" ? "gpa" : table === "shadow" ? "hpa" : void 0;
    if (space === void 0)
      throw new MachineError(`There is no table "${table}" under "bt": choose "guest" or "shadow".`);
    const found = space === "gpa" ? inspectMappings(this.tableMemory, this.guestTables(), from, limit) : inspectMappings(physicalTables(this.monitor.host.physical), this.shadowTables(), from, limit);
    return found.mappings.map((mapping) => ({ ...mapping, target: { space, value: BigInt(mapping.target) } }));
  }
  translate(linear, space) {
    if (space === "lin") return linear;
    if (space === "iova") return void 0;
    const physical = translateInspectedIn(this.tableMemory, this.guestTables(), linear);
    if (physical === void 0) return void 0;
    if (space === "gpa") return BigInt(physical);
    const host = this.hostAddress(physical);
    return host === void 0 ? void 0 : BigInt(host);
  }
};
function translateInspectedIn(memory, tables, linear) {
  return inspectWalk(memory, tables, linear, {}).result?.address;
}
function inSpace(table, space, linear, walk) {
  const steps = walk.steps.map((step2) => ({ ...step2, entryAddress: { space, value: BigInt(step2.entryAddress) } }));
  const result = walk.result && { ...walk.result, address: { space, value: BigInt(walk.result.address) } };
  return { table, linear, steps, ...result ? { result } : {} };
}

// emulator/vmm/guest-watchpoints.ts
var GuestWatchpoints = class {
  constructor(hit) {
    this.hit = hit;
  }
  hit;
  watchpoints = [];
  processor;
  physical;
  vcpu;
  attach(processor, physical) {
    this.processor = processor;
    this.physical = physical;
  }
  set(watchpoints, vcpu) {
    this.watchpoints = watchpoints;
    this.vcpu = vcpu;
    this.processor?.setWatches(watchpoints.length > 0 ? [this] : []);
  }
  /** Guest-physical page of a host page, -1 when it holds no guest memory. */
  guestPage(hostPage) {
    return this.physical?.pmap.indexOf(hostPage) ?? -1;
  }
  pageOf(watchpoint, linearPage, hostPage) {
    switch (watchpoint.address.space) {
      case "lin":
        return linearPage;
      case "gpa":
        return BigInt(this.guestPage(hostPage));
      default:
        return BigInt(hostPage);
    }
  }
  watches(linearLow, _linearHigh, hostPage) {
    const linearPage = BigInt(linearLow >>> 12);
    if (linearLow >>> 0 >= VMM_BASE) return WatchedFor.nothing;
    let wanted = WatchedFor.nothing;
    for (const watchpoint of this.watchpoints) {
      const { address, length, access } = watchpoint;
      const page = this.pageOf(watchpoint, linearPage, hostPage);
      if (page < address.value >> 12n || page > address.value + BigInt(length) - 1n >> 12n) continue;
      if (access !== "write") wanted |= WatchedFor.reads;
      if (access !== "read") wanted |= WatchedFor.writes;
    }
    return wanted;
  }
  accessed(access) {
    for (const watchpoint of this.watchpoints) {
      const { address, length } = watchpoint;
      if (watchpoint.access !== "readWrite" && watchpoint.access === "write" !== access.write) continue;
      const page = this.pageOf(watchpoint, access.linear >> 12n, Math.floor(access.physical / 4096));
      const start = page * 4096n + (access.linear & 0xfffn);
      if (start + BigInt(access.size) <= address.value || start >= address.value + BigInt(length)) continue;
      this.hit({
        reason: "watchpoint",
        processor: 1,
        id: watchpoint.id,
        access: access.write ? "write" : "read",
        address: { space: address.space, value: start },
        length: access.size,
        ...access.oldValue === void 0 ? {} : { oldValue: access.oldValue },
        ...access.newValue === void 0 ? {} : { newValue: access.newValue },
        instruction: this.vcpu?.linearInstructionPointer() ?? 0n
      });
    }
  }
};

// emulator/vmm/host-processor.ts
var HostProcessor = class {
  constructor(host) {
    this.host = host;
    this.file = new RegisterFile(host.processor);
  }
  host;
  id = 2;
  kind = "pcpu";
  file;
  describe() {
    const { cpl } = this.host.processor.core.state;
    const what = cpl === 0 ? "VMM" : cpl === 1 ? "translation cache" : "user code, directly";
    return `pCPU 0 (CPL ${cpl}, CR3 0x${this.register("cr3").toString(16)}, ${what})`;
  }
  codeSize() {
    return 32;
  }
  instructionPointer() {
    return this.host.processor.core.state.rip;
  }
  linearInstructionPointer() {
    return BigInt.asUintN(32, this.host.processor.core.state.base(1) + this.instructionPointer());
  }
  registers() {
    return this.file.list();
  }
  register(name) {
    return this.file.read(name);
  }
  setRegister(name, value) {
    this.file.write(name, value);
  }
  /** How many of `length` bytes from a host-physical address on lie in RAM or ROM. */
  range({ space, value }, length) {
    if (space === "iova") throw new MachineError("There are no device addresses (iova:): no IOMMU is there.");
    if (space === "gpa")
      throw new MachineError("The physical CPU knows no guest-physical addresses: ask the vCPU, or use hpa:.");
    const start = value < 0n || value >= 1n << 32n ? 0 : Number(value);
    let available = 0;
    while (value === BigInt(start) && available < length && this.host.physical.isBacked(start + available))
      available = Math.min(length, available + 4096 - (start + available & 4095));
    return { start, available };
  }
  readMemory(address, length) {
    if (address.space === "lin") return this.host.processor.core.memory.peekLinear(address.value, length);
    const { start, available } = this.range(address, length);
    return available > 0 ? this.host.physical.peek(start, available) : void 0;
  }
  writeMemory(address, bytes) {
    if (address.space === "lin") return this.host.processor.core.memory.pokeLinear(address.value, bytes);
    const { start, available } = this.range(address, bytes.length);
    return available > 0 && this.host.physical.poke(start, bytes.subarray(0, available)) ? available : 0;
  }
  walk(linear, access = {}) {
    const { core } = this.host.processor;
    const user = access.user ?? core.state.cpl === 3;
    const tables = inspectedTables(core.state);
    const walk = inspectWalk(physicalTables(this.host.physical), tables, linear, { ...access, user });
    const at = (address) => ({ space: "hpa", value: BigInt(address) });
    const steps = walk.steps.map((step2) => ({ ...step2, entryAddress: at(step2.entryAddress) }));
    const result = walk.result && { ...walk.result, address: at(walk.result.address) };
    return [{ table: "shadow", linear, steps, ...result ? { result } : {} }];
  }
  mappings(table, from, limit) {
    if (table !== "shadow" && table !== "host")
      throw new MachineError(`The physical CPU has no table "${table}": it walks the shadow table ("shadow").`);
    const tables = inspectedTables(this.host.processor.core.state);
    const found = inspectMappings(physicalTables(this.host.physical), tables, from, limit);
    return found.mappings.map((mapping) => ({
      ...mapping,
      target: { space: "hpa", value: BigInt(mapping.target) }
    }));
  }
  translate(linear, space) {
    if (space === "lin") return linear;
    if (space !== "hpa") return void 0;
    const physical = translateInspected(this.host.physical, inspectedTables(this.host.processor.core.state), linear);
    return physical === void 0 ? void 0 : BigInt(physical);
  }
};

// emulator/vmm/segments/shadow-descriptor.ts
var ACCESSED2 = 1 << 8;
var EXPAND_DOWN = 1 << 10;
var CODE2 = 1 << 11;
var S = 1 << 12;
var DPL = 3 << 13;
var G2 = 1 << 23;
var UPPER_LIMIT = 983040;
var NO_DESCRIPTOR = [0, 0];
function descriptorBase([low2, high2]) {
  return (low2 >>> 16 | (high2 & 255) << 16 | high2 & 4278190080) >>> 0;
}
function descriptorLimit([low2, high2]) {
  const raw = low2 & 65535 | high2 & UPPER_LIMIT;
  return high2 & G2 ? (raw << 12 | 4095) >>> 0 : raw;
}
function shadowDescriptor(guest) {
  let [low2, high2] = guest;
  if ((high2 & S) === 0 || (high2 & ACCESSED2) === 0) return NO_DESCRIPTOR;
  if ((high2 & DPL) === 0) high2 |= 1 << 13;
  const base = descriptorBase(guest);
  const limit = descriptorLimit(guest);
  const expandDown = (high2 & CODE2) === 0 && (high2 & EXPAND_DOWN) !== 0;
  if (expandDown || base >= VMM_BASE) {
    if ((high2 & CODE2) === 0) high2 |= EXPAND_DOWN;
    return (high2 & CODE2) === 0 ? [low2 | 65535, high2 | G2 | UPPER_LIMIT] : [low2 & ~65535, high2 & ~(G2 | UPPER_LIMIT)];
  }
  const last = VMM_BASE - 1 - base;
  if (limit <= last) return [low2, high2];
  if (last <= 1048575) {
    low2 = low2 & ~65535 | last & 65535;
    high2 = high2 & ~(G2 | UPPER_LIMIT) | last & UPPER_LIMIT;
  } else {
    const pages = Math.floor((last + 1) / 4096) - 1;
    low2 = low2 & ~65535 | pages & 65535;
    high2 = high2 & ~UPPER_LIMIT | G2 | pages & UPPER_LIMIT;
  }
  return [low2, high2];
}

// emulator/vmm/guest/guest-fault.ts
var GuestFault = class {
  constructor(vector2, errorCode = void 0, address = 0) {
    this.vector = vector2;
    this.errorCode = errorCode;
    this.address = address;
  }
  vector;
  errorCode;
  address;
};

// emulator/vmm/guest/guest-context.ts
var Vector2 = {
  divideError: 0,
  debug: 1,
  breakpoint: 3,
  overflow: 4,
  invalidOpcode: 6,
  deviceNotAvailable: 7,
  doubleFault: 8,
  invalidTss: 10,
  segmentNotPresent: 11,
  stackFault: 12,
  generalProtection: 13,
  pageFault: 14
};
var High = {
  accessed: 1 << 8,
  writable: 1 << 9,
  expandDown: 1 << 10,
  conforming: 1 << 10,
  code: 1 << 11,
  s: 1 << 12,
  present: 1 << 15,
  big: 1 << 22
};
function accessOf([, high2]) {
  return high2 >>> 8 & 61695;
}
function privilegeOf([, high2]) {
  return high2 >>> 13 & 3;
}
function refuse(what, eip) {
  throw new MachineError(
    `The guest ${what} at 0x${(eip >>> 0).toString(16).padStart(8, "0")}, which "bt" does not run; start it with "vmm": "none".`
  );
}
var GuestContext = class {
  constructor(host, vcpu, registers, physical, memory, shadow, descriptors) {
    this.host = host;
    this.vcpu = vcpu;
    this.registers = registers;
    this.physical = physical;
    this.memory = memory;
    this.shadow = shadow;
    this.descriptors = descriptors;
  }
  host;
  vcpu;
  registers;
  physical;
  memory;
  shadow;
  descriptors;
  get user() {
    return this.vcpu.cpl === 3;
  }
  /** The guest's EFLAGS: the host's image with the guest's IF, IOPL and, in translated code, TF. */
  get eflags() {
    const { vcpu, registers } = this;
    let flags = registers.eflags & ~12800;
    if (vcpu.interruptFlag) flags |= 512;
    if (!this.user) flags = flags & ~256 | (vcpu.trapFlag ? 256 : 0);
    return flags | vcpu.iopl << 12 | 2;
  }
  /**
   * Loads the guest's EFLAGS: `mask` says which of IF, IOPL and the others may change. The host's IF stays 1, its IOPL 0.
   * TF goes into the host's image only for code that runs directly.
   */
  loadEflags(value, mask2, cpl) {
    const { vcpu, registers } = this;
    if (mask2 & 512) vcpu.interruptFlag = (value & 512) !== 0;
    if (mask2 & 12288) vcpu.iopl = value >> 12 & 3;
    if (mask2 & 256) vcpu.trapFlag = cpl === 0 && (value & 256) !== 0;
    const hostMask = mask2 & ~12800;
    registers.eflags = registers.eflags & ~hostMask | value & hostMask | 514;
    if (cpl === 0) registers.eflags &= ~256;
  }
  /** The guest's hidden part of a segment register; the limit is the guest's, not the truncated one. */
  segment(index2) {
    const { vcpu, host } = this;
    if (index2 === Segment.cs) return vcpu.cs;
    if (index2 === Segment.ss) return vcpu.ss;
    if (index2 === Segment.ldtr) return vcpu.ldtr;
    if (index2 === Segment.tr) return vcpu.tr;
    const segment = index2 === Segment.gs ? { ...vcpu.gs } : {
      selector: host.selector(index2),
      access: host.access(index2),
      base: host.baseLow(index2) >>> 0,
      limit: host.limit(index2)
    };
    const { selector } = segment;
    const guest = (selector & ~3) === 0 ? void 0 : this.descriptors.descriptor(selector);
    if (guest !== void 0) {
      segment.limit = descriptorLimit(guest);
      segment.access = accessOf(guest);
    }
    return segment;
  }
  /** A segment register of the host as the guest would see it, read without any effect. */
  quietSegment(index2, host = this.host) {
    const segment = {
      selector: host.selector(index2),
      access: host.access(index2),
      base: host.baseLow(index2) >>> 0,
      limit: host.limit(index2)
    };
    if (segment.limit === VMM_BASE - 1 && segment.base === 0) segment.limit = 4294967295;
    if ((segment.access & 65632) === 32) segment.access &= ~32;
    return segment;
  }
  /** @throws {GuestFault} #GP or #SS when the range is not inside the segment or the segment does not allow the access */
  linear(index2, offset, size, write) {
    const { access, base, limit } = this.segment(index2);
    const vector2 = index2 === Segment.ss ? Vector2.stackFault : Vector2.generalProtection;
    const code = (access & 8) !== 0;
    const last = offset + size - 1;
    const unusable = (access & 65536) !== 0;
    const forbidden = write ? code || (access & 2) === 0 : code && (access & 2) === 0;
    const inside2 = !code && (access & 4) !== 0 ? offset > limit && last <= (access & 16384 ? 4294967295 : 65535) : last <= limit;
    if (unusable || forbidden || !inside2) throw new GuestFault(vector2, 0);
    const linear = base + offset >>> 0;
    if (write) this.memory.probeWrite(linear, size, this.user);
    return linear;
  }
  /** EFLAGS as PUSHF stores them: VM and RF are clear (SDM Vol. 2B, PUSHF). */
  flagsImage() {
    return this.eflags & ~196608;
  }
  selector(index2) {
    return this.segment(index2).selector;
  }
  read(linear, size) {
    return this.memory.read(linear, size, this.user);
  }
  write(linear, size, value) {
    this.memory.write(linear, size, value, this.user);
  }
  /** A dword of the guest's stack, `offset` bytes above ESP. @throws {GuestFault} */
  peekStack(offset, size = 4) {
    const { vcpu, registers } = this;
    const big = (vcpu.ss.access & 16384) !== 0;
    const at = big ? registers.esp + offset >>> 0 : registers.esp + offset & 65535;
    return this.memory.read(this.linear(Segment.ss, at, size, false), size, this.user);
  }
  /** The descriptor of a selector for a load. @throws {GuestFault} `vector` with the selector when there is none */
  findDescriptor(selector, vector2) {
    const found = this.descriptors.descriptor(selector);
    if (found === void 0) throw new GuestFault(vector2, selector & 65532);
    return found;
  }
  /** Fills a virtual segment register from a descriptor and marks that accessed. */
  fillSegment(into, selector, descriptor) {
    if ((descriptor[1] & (High.s | High.accessed)) === High.s) this.descriptors.setHighBits(selector, High.accessed);
    into.selector = selector;
    into.access = accessOf(descriptor) | 1;
    into.base = descriptorBase(descriptor);
    into.limit = descriptorLimit(descriptor);
  }
  /** Checks a stack segment for a privilege level (SDM Vol. 3A §5.7). @throws {GuestFault} `vector`, #SS */
  stackDescriptor(selector, cpl, vector2) {
    if ((selector & ~3) === 0) throw new GuestFault(vector2, vector2 === Vector2.invalidTss ? selector & 65532 : 0);
    const found = this.findDescriptor(selector, vector2);
    const data = High.s | High.writable;
    const wrong = (found[1] & (High.s | High.code | High.writable)) !== data;
    if ((selector & 3) !== cpl || privilegeOf(found) !== cpl || wrong) throw new GuestFault(vector2, selector & 65532);
    if ((found[1] & High.present) === 0) throw new GuestFault(Vector2.stackFault, selector & 65532);
    return found;
  }
  /** Takes over CS after a change of code segment, refusing what the translator does not run. */
  setCodeSegment(selector, descriptor, cpl) {
    const { vcpu, registers } = this;
    this.fillSegment(vcpu.cs, selector & ~3 | cpl, descriptor);
    if (cpl === 0 && (descriptor[1] & High.big) === 0) refuse("goes to a 16-bit code segment", registers.eip);
    if (cpl === 0 && vcpu.cs.base !== 0) refuse("goes to a kernel code segment whose base is not 0", registers.eip);
    vcpu.cpl = cpl;
  }
};

// emulator/vmm/guest/control-transfer.ts
var Gate = { task: 5, interrupt16: 6, trap16: 7, interrupt32: 14, trap32: 15 };
var EXTERNAL = 1;
var IN_IDT = 2;
var CLEARED_BY_GATE = 213248;
var RF = 65536;
var LOADABLE = 2444757;
var VM = 131072;
var NT = 16384;
var ControlTransfer = class {
  constructor(guest, onException) {
    this.guest = guest;
    this.onException = onException;
  }
  guest;
  onException;
  /**
   * Delivers through the guest's IDT; faults on the way become what SDM Vol. 3A §6.15 makes of them. False after a triple
   * fault: the state is then the one before.
   */
  deliver(first) {
    let event = first;
    let isException = !first.software && !first.external;
    for (; ; ) {
      try {
        this.enter(event);
        return true;
      } catch (fault) {
        if (!(fault instanceof GuestFault)) throw fault;
        if (fault.vector === Vector2.pageFault) this.guest.vcpu.cr2 = fault.address;
        const next = combine(event.vector, isException, new Fault(fault.vector, fault.errorCode));
        if (next === void 0) return false;
        this.onException(next.vector, next.errorCode, fault.address);
        event = { vector: next.vector, errorCode: next.errorCode };
        isException = true;
      }
    }
  }
  /** INT n, INT3, INTO, INT1: EIP is the return address. @throws {GuestFault} of the instruction */
  enterSoftware(vector2) {
    this.enter({ vector: vector2, software: true });
  }
  enter({ vector: vector2, errorCode, software, external: external2 }) {
    const { guest } = this;
    const { vcpu, registers, memory } = guest;
    const ext = software ? 0 : EXTERNAL;
    const selectorError = vector2 * 8 + IN_IDT + ext;
    if (vector2 * 8 + 7 > vcpu.idtr.limit) throw new GuestFault(Vector2.generalProtection, selectorError);
    const at = vcpu.idtr.base + vector2 * 8;
    const low2 = memory.read(at >>> 0, 4, false);
    const high2 = memory.read(at + 4 >>> 0, 4, false);
    const type = high2 >>> 8 & 31;
    if (software && (high2 >>> 13 & 3) < vcpu.cpl) throw new GuestFault(Vector2.generalProtection, selectorError);
    if (type === Gate.task) refuse(`takes vector ${vector2} through a task gate`, registers.eip);
    if (type === Gate.interrupt16 || type === Gate.trap16)
      refuse(`takes vector ${vector2} through a 16-bit gate`, registers.eip);
    if (type !== Gate.interrupt32 && type !== Gate.trap32)
      throw new GuestFault(Vector2.generalProtection, selectorError);
    if ((high2 & High.present) === 0) throw new GuestFault(Vector2.segmentNotPresent, selectorError);
    const selector = low2 >>> 16;
    const offset = (low2 & 65535 | high2 & 4294901760) >>> 0;
    if ((selector & ~3) === 0) throw new GuestFault(Vector2.generalProtection, ext);
    const code = guest.findDescriptor(selector, Vector2.generalProtection);
    const isCode = (code[1] & (High.s | High.code)) === (High.s | High.code);
    const dpl = privilegeOf(code);
    if (!isCode || dpl > vcpu.cpl) throw new GuestFault(Vector2.generalProtection, (selector & 65532) + ext);
    if ((code[1] & High.present) === 0) throw new GuestFault(Vector2.segmentNotPresent, (selector & 65532) + ext);
    const inner = (code[1] & High.conforming) === 0 && dpl < vcpu.cpl;
    if (dpl !== 0 && dpl !== vcpu.cpl) refuse("enters ring 1 or 2", registers.eip);
    if (offset > descriptorLimit(code)) throw new GuestFault(Vector2.generalProtection, ext);
    const flags = guest.eflags | (!software && !external2 && isFaultVector(vector2) ? RF : 0);
    const frame = [registers.eip, vcpu.cs.selector, flags];
    if (errorCode !== void 0) frame.unshift(errorCode);
    if (inner) {
      frame.push(registers.esp, vcpu.ss.selector);
      const esp = memory.read(vcpu.tr.base + 4 >>> 0, 4, false);
      const ss = memory.read(vcpu.tr.base + 8 >>> 0, 2, false);
      const stack = guest.stackDescriptor(ss, 0, Vector2.invalidTss);
      const top = this.pushFrame(frame, stack, esp, ext);
      guest.fillSegment(vcpu.ss, ss, stack);
      registers.esp = top;
    } else {
      registers.esp = this.pushFrame(frame, void 0, registers.esp, ext);
    }
    guest.setCodeSegment(selector, code, inner ? 0 : vcpu.cpl);
    registers.eip = offset;
    if (type === Gate.interrupt32) vcpu.interruptFlag = false;
    vcpu.trapFlag = false;
    registers.eflags &= ~CLEARED_BY_GATE;
  }
  /** Writes dwords, the first lowest, below `esp`; the new ESP. @throws {GuestFault} before anything is written */
  pushFrame(frame, stack, esp, ext) {
    const { guest } = this;
    const { vcpu, memory } = guest;
    const base = stack ? (stack[0] >>> 16 | (stack[1] & 255) << 16 | stack[1] & 4278190080) >>> 0 : vcpu.ss.base;
    const limit = stack ? descriptorLimit(stack) : vcpu.ss.limit;
    const top = esp - frame.length * 4 >>> 0;
    if (top > limit || top + frame.length * 4 - 1 > limit) throw new GuestFault(Vector2.stackFault, ext);
    const user = stack === void 0 && guest.user;
    memory.probeWrite(base + top >>> 0, frame.length * 4, user);
    frame.forEach((value, index2) => {
      memory.write(base + top + index2 * 4 >>> 0, 4, value, user);
    });
    return top;
  }
  /** IRET and IRETD. @throws {GuestFault} with nothing changed */
  interruptReturn(operandSize16) {
    const { guest } = this;
    const { registers } = guest;
    if (guest.eflags & NT) refuse("returns to another task", registers.eip);
    const size = operandSize16 ? 2 : 4;
    const eip = guest.peekStack(0, size);
    const cs = guest.peekStack(size, size) & 65535;
    const flags = guest.peekStack(2 * size, size);
    if (flags & VM && size === 4) refuse("enters virtual-8086 mode", registers.eip);
    const mask2 = (size === 4 ? LOADABLE : LOADABLE & 65535) | 12800;
    this.returnTo(eip, cs, size, 3 * size, 0, () => {
      const cpl = cs & 3;
      guest.loadEflags(flags, mask2, cpl);
    });
  }
  /** Far RET that releases `release` bytes of parameters. @throws {GuestFault} with nothing changed */
  farReturn(operandSize16, release) {
    const { guest } = this;
    const size = operandSize16 ? 2 : 4;
    const eip = guest.peekStack(0, size);
    const cs = guest.peekStack(size, size) & 65535;
    this.returnTo(eip, cs, size, 2 * size + release, release, () => {
      if ((cs & 3) === 3) guest.vcpu.trapFlag = false;
    });
  }
  returnTo(eip, cs, size, popped, release, loadFlags) {
    const { guest } = this;
    const { vcpu, registers } = guest;
    if ((cs & ~3) === 0) throw new GuestFault(Vector2.generalProtection, 0);
    const code = guest.findDescriptor(cs, Vector2.generalProtection);
    const rpl = cs & 3;
    const conforming = (code[1] & High.conforming) !== 0;
    const isCode = (code[1] & (High.s | High.code)) === (High.s | High.code);
    const allowed = conforming ? privilegeOf(code) <= rpl : privilegeOf(code) === rpl;
    if (!isCode || rpl < vcpu.cpl || !allowed) throw new GuestFault(Vector2.generalProtection, cs & 65532);
    if ((code[1] & High.present) === 0) throw new GuestFault(Vector2.segmentNotPresent, cs & 65532);
    if (rpl === 1 || rpl === 2) refuse("returns to ring 1 or 2", registers.eip);
    if (eip > descriptorLimit(code)) throw new GuestFault(Vector2.generalProtection, 0);
    if (rpl === vcpu.cpl) {
      loadFlags();
      registers.esp = registers.esp + popped >>> 0;
      guest.setCodeSegment(cs, code, vcpu.cpl);
    } else {
      const esp = guest.peekStack(popped, size);
      const ss = guest.peekStack(popped + size, size) & 65535;
      const stack = guest.stackDescriptor(ss, 3, Vector2.generalProtection);
      loadFlags();
      guest.setCodeSegment(cs, code, 3);
      guest.fillSegment(vcpu.ss, ss, stack);
      registers.esp = esp + release >>> 0;
      this.dropInnerSegments();
    }
    registers.eip = eip;
  }
  /** On a return to ring 3: %gs, which the host does not hold, becomes null when ring 3 may not use it; the host's own return does the others. */
  dropInnerSegments() {
    const { gs } = this.guest.vcpu;
    const conforming = (gs.access & 12) === 12;
    if ((gs.access & 65536) === 0 && !conforming && (gs.access >> 5 & 3) < 3) {
      gs.selector = 0;
      gs.access |= 65536;
    }
  }
  /** JMP and CALL far, to code segments of the same privilege level. @throws {GuestFault} with nothing changed */
  farTransfer(selector, offset, call, operandSize16, returnEip) {
    const { guest } = this;
    const { vcpu, registers } = guest;
    if ((selector & ~3) === 0) throw new GuestFault(Vector2.generalProtection, 0);
    const code = guest.findDescriptor(selector, Vector2.generalProtection);
    if ((code[1] & High.s) === 0) refuse("goes through a call gate, a task gate or a TSS", registers.eip);
    const dpl = privilegeOf(code);
    const conforming = (code[1] & High.conforming) !== 0;
    const allowed = conforming ? dpl <= vcpu.cpl : dpl === vcpu.cpl && (selector & 3) <= vcpu.cpl;
    if ((code[1] & High.code) === 0 || !allowed) throw new GuestFault(Vector2.generalProtection, selector & 65532);
    if ((code[1] & High.present) === 0) throw new GuestFault(Vector2.segmentNotPresent, selector & 65532);
    const target = operandSize16 ? offset & 65535 : offset;
    if (target > descriptorLimit(code)) throw new GuestFault(Vector2.generalProtection, 0);
    if (call) {
      const size = operandSize16 ? 2 : 4;
      const esp = registers.esp - 2 * size >>> 0;
      const at = guest.linear(Segment.ss, esp, 2 * size, true);
      guest.write(at + size >>> 0, size, vcpu.cs.selector);
      guest.write(at, size, returnEip);
      registers.esp = esp;
    }
    guest.setCodeSegment(selector, code, vcpu.cpl);
    registers.eip = target >>> 0;
  }
  /** SYSENTER (SDM Vol. 2B). @throws {GuestFault} #GP(0) */
  systemEnter() {
    const { guest } = this;
    const { vcpu, registers } = guest;
    if ((vcpu.sysenterCs & ~3) === 0) throw new GuestFault(Vector2.generalProtection, 0);
    this.flatSegments(vcpu.sysenterCs & 65532, 0);
    vcpu.interruptFlag = false;
    vcpu.trapFlag = false;
    registers.eflags &= ~(VM | RF | 256);
    registers.esp = vcpu.sysenterEsp >>> 0;
    registers.eip = vcpu.sysenterEip >>> 0;
  }
  /** SYSEXIT (SDM Vol. 2B). @throws {GuestFault} #GP(0) */
  systemExit() {
    const { guest } = this;
    const { vcpu, registers } = guest;
    if ((vcpu.sysenterCs & ~3) === 0 || vcpu.cpl !== 0) throw new GuestFault(Vector2.generalProtection, 0);
    this.flatSegments((vcpu.sysenterCs & 65532) + 16 | 3, 3);
    registers.eip = registers.read32(2);
    registers.esp = registers.read32(1);
  }
  /** The fixed, flat CS and SS that SYSENTER and SYSEXIT load without looking at descriptors. */
  flatSegments(selector, cpl) {
    const { vcpu } = this.guest;
    const dpl = cpl << 5;
    Object.assign(vcpu.cs, { selector, base: 0, limit: 4294967295, access: 49307 | dpl });
    Object.assign(vcpu.ss, { selector: selector + 8, base: 0, limit: 4294967295, access: 49299 | dpl });
    vcpu.cpl = cpl;
  }
};
function isFaultVector(vector2) {
  return vector2 !== Vector2.debug && vector2 !== 2 && vector2 !== Vector2.breakpoint && vector2 !== Vector2.overflow && vector2 < 32 && vector2 !== Vector2.doubleFault;
}

// emulator/vmm/shadow/reverse-map.ts
var NONE = [];
var ReverseMap = class {
  entries = /* @__PURE__ */ new Map();
  add(page, entry) {
    const list = this.entries.get(page);
    if (list === void 0) this.entries.set(page, [entry]);
    else if (!list.includes(entry)) list.push(entry);
  }
  remove(page, entry) {
    const list = this.entries.get(page);
    if (list === void 0) return;
    const at = list.indexOf(entry);
    if (at < 0) return;
    list[at] = list[list.length - 1];
    list.pop();
    if (list.length === 0) this.entries.delete(page);
  }
  /** Host-physical addresses of the shadow entries. */
  of(page) {
    return this.entries.get(page) ?? NONE;
  }
};

// emulator/vmm/shadow/shadow-table.ts
var TableKind = {
  /** A guest page directory. */
  root: 0,
  /** A guest page table. */
  table: 1,
  /** A guest 4 MB page, splintered into 4 KB pages; also 4 MB of guest-physical memory while the guest does not page. */
  splinter: 2
};
var ShadowTable = class {
  constructor(key, kind, guestPage, frame, rights) {
    this.key = key;
    this.kind = kind;
    this.guestPage = guestPage;
    this.frame = frame;
    this.rights = rights;
  }
  key;
  kind;
  guestPage;
  frame;
  rights;
  /** Host-physical addresses of the shadow directory entries that point here (tables and splinters). */
  parents = /* @__PURE__ */ new Set();
  /** Traced writes to the guest's page since the table was last used for a fill or a switch. */
  writes = 0;
  /** Guest-physical page that each present entry of a table or splinter maps. */
  pages = new Int32Array(1024);
};

// emulator/vmm/shadow/write-traces.ts
var Trace = { table: 1, code: 2, descriptors: 4 };
var WriteTraces = class {
  /** @param pages guest-physical RAM pages. @param protect takes the write permission from every mapping of a page. */
  constructor(pages, protect) {
    this.protect = protect;
    this.reasons = new Uint8Array(pages);
  }
  protect;
  reasons;
  /** Traced pages, for the statistics. */
  count = 0;
  has(page) {
    return page < this.reasons.length && this.reasons[page] !== 0;
  }
  reasonsOf(page) {
    return page < this.reasons.length ? this.reasons[page] : 0;
  }
  set(page, reason) {
    if (page >= this.reasons.length) return;
    const before2 = this.reasons[page];
    this.reasons[page] = before2 | reason;
    if (before2 === 0) {
      this.count++;
      this.protect(page);
    }
  }
  clear(page, reason) {
    if (page >= this.reasons.length) return;
    const before2 = this.reasons[page];
    this.reasons[page] = before2 & ~reason;
    if (before2 !== 0 && this.reasons[page] === 0) this.count--;
  }
};

// emulator/vmm/shadow/shadow-page-tables.ts
var FillResult = {
  /** The guest maps it: the shadow was filled, the access can be tried again (a hidden page fault). */
  filled: 0,
  /** The guest's tables forbid it: `walk.errorCode` says why (a true page fault). */
  fault: 1,
  /** Allowed, but the page is write-traced: the write has to be emulated. */
  traced: 2,
  /** Allowed, but no RAM lies there: the access has to be emulated. `walk.physical` is the guest-physical address. */
  device: 3,
  /** Allowed, but the address belongs to the VMM: the access has to be emulated. */
  reserved: 4
};
var HOST_ACCESSED = Entry.accessed | Entry.dirty;
var FLOOD_LIMIT = 16;
var MAXIMUM_TABLES = 4096;
var ShadowPageTables = class {
  /** @param vmmDirectoryEntry the host page-directory entry of the VMM's own 4 MB, present in every root. */
  constructor(host, frames, memory, controls, vmmDirectoryEntry, observer) {
    this.host = host;
    this.frames = frames;
    this.memory = memory;
    this.controls = controls;
    this.vmmDirectoryEntry = vmmDirectoryEntry;
    this.observer = observer;
    this.i32 = host.i32;
    this.walk = new GuestPageWalk(memory, controls);
    this.traces = new WriteTraces(memory.pmap.length, (page) => this.protect(page));
  }
  host;
  frames;
  memory;
  controls;
  vmmDirectoryEntry;
  observer;
  walk;
  traces;
  hiddenFaults = 0;
  reverse = new ReverseMap();
  tables = /* @__PURE__ */ new Map();
  byFrame = /* @__PURE__ */ new Map();
  byGuestPage = /* @__PURE__ */ new Map();
  root;
  i32;
  /** Host frame of the root in use: what the host's CR3 has to hold. */
  get rootFrame() {
    return this.root.frame;
  }
  /** Number of shadow tables in host memory. */
  get size() {
    return this.tables.size;
  }
  /** Follows the guest's CR0, CR3 and CR4 after one of them was loaded. */
  activate() {
    const page = this.walk.paging ? this.controls.cr3 >>> 12 : 0;
    const root = this.table(TableKind.root, page, this.walk.paging ? 0 : Entry.large);
    root.writes = 0;
    this.root = root;
    this.observer.rootChanged(root.frame);
  }
  /** Drops every shadow table, as after a change of CR0.WP, CR0.PG or CR4.PSE. `activate` has to follow. */
  dropAll() {
    for (const table of [...this.tables.values()]) this.destroy(table);
    this.observer.flushTlb();
  }
  /** Host-physical address of a linear address when the shadow maps it with these rights, else -1. */
  lookup(linear, access) {
    if (linear >>> 0 >= VMM_BASE) return -1;
    const pde = this.i32[RAM_BASE + this.root.frame * 4096 + (linear >>> 20 & 4092) >> 2];
    if ((pde & Entry.present) === 0) return -1;
    const pte = this.i32[RAM_BASE + (pde & 4294963200) + (linear >>> 10 & 4092) >>> 2];
    const needed = Entry.present | access;
    if ((pde & pte & needed) !== needed) return -1;
    return (pte & 4294963200 | linear & 4095) >>> 0;
  }
  /**
   * Makes the shadow map the linear address for the access, if the guest's tables allow it. Sets A and D in the guest's
   * tables as the processor would. The walk's result lies in `walk`.
   */
  fill(linear, access) {
    const { walk } = this;
    if (!walk.walk(linear, access)) return FillResult.fault;
    walk.markAccessed(access);
    if (linear >>> 0 >= VMM_BASE) return FillResult.reserved;
    const page = walk.physical >>> 12;
    if (!this.memory.isBacked(walk.physical)) return FillResult.device;
    const write = (access & Access2.write) !== 0;
    if (write && (this.traces.has(page) || !this.memory.isRam(page))) return FillResult.traced;
    this.hiddenFaults++;
    this.map(linear, page, access);
    return FillResult.filled;
  }
  map(linear, page, access) {
    const { walk } = this;
    const table = this.tableFor(linear);
    table.writes = 0;
    if (walk.paging) this.traces.set(this.root.guestPage, Trace.table);
    const leaf = walk.large ? walk.pde : walk.pte;
    const dirty = !walk.paging || (leaf & Entry.dirty) !== 0;
    let entry = Entry.present | HOST_ACCESSED;
    if (walk.user) entry |= Entry.user;
    if (walk.writable) {
      if (dirty) entry |= Entry.writable;
    } else if ((access & (Access2.write | Access2.user)) === Access2.write) {
      entry = (entry | Entry.writable) & ~Entry.user;
    }
    if (this.traces.has(page) || !this.memory.isRam(page)) entry &= ~Entry.writable;
    this.setEntry(table, linear >>> 12 & 1023, page, entry);
  }
  /** The shadow table for the page-directory index of the address, linked into the current root. */
  tableFor(linear) {
    const { walk, controls } = this;
    const index2 = linear >>> 22;
    const writeProtect = (controls.cr0 & Cr02.wp) !== 0;
    let table;
    let flags = Entry.writable | Entry.user;
    if (!walk.paging) table = this.table(TableKind.splinter, index2 << 10, 0);
    else if (walk.large) {
      const rights = walk.pde & (Entry.writable | Entry.user | Entry.dirty | (writeProtect ? 0 : Entry.present));
      table = this.table(TableKind.splinter, walk.pde >>> 22 << 10, rights | Entry.large);
    } else if (writeProtect) {
      table = this.table(TableKind.table, walk.pde >>> 12, 0);
      flags &= walk.pde;
    } else {
      const rights = walk.pde & (Entry.writable | Entry.user);
      table = this.table(TableKind.table, walk.pde >>> 12, rights | Entry.present);
    }
    const at = this.root.frame * 4096 + index2 * 4;
    const entry = table.frame * 4096 | flags | Entry.present | HOST_ACCESSED;
    const old = this.read(at);
    if (old !== (entry | 0)) {
      if ((old & Entry.present) !== 0) {
        this.byFrame.get(old >>> 12)?.parents.delete(at);
        this.observer.flushTlb();
      }
      this.write(at, entry);
      table.parents.add(at);
    }
    return table;
  }
  setEntry(table, index2, page, flags) {
    const at = table.frame * 4096 + index2 * 4;
    const entry = this.memory.frameOf(page) * 4096 | flags;
    const old = this.read(at);
    if ((old & Entry.present) !== 0) this.reverse.remove(table.pages[index2], at);
    this.write(at, entry);
    this.reverse.add(page, at);
    table.pages[index2] = page;
  }
  /** Finds or makes the shadow of a guest page. */
  table(kind, guestPage, rights) {
    const key = (kind * 256 + rights) * 1048576 + guestPage;
    const found = this.tables.get(key);
    if (found !== void 0) return found;
    if (this.tables.size >= MAXIMUM_TABLES) this.dropUnused();
    const frame = this.frames.allocate();
    const start = RAM_BASE + frame * 4096 >> 2;
    this.i32.fill(0, start, start + 1024);
    const table = new ShadowTable(key, kind, guestPage, frame, rights);
    this.tables.set(key, table);
    this.byFrame.set(frame, table);
    if (kind === TableKind.root) this.write(frame * 4096 + VMM_DIRECTORY_INDEX * 4, this.vmmDirectoryEntry);
    if (kind !== TableKind.splinter && (kind !== TableKind.root || rights === 0)) {
      const same = this.byGuestPage.get(guestPage);
      if (same) same.push(table);
      else this.byGuestPage.set(guestPage, [table]);
      this.traces.set(guestPage, Trace.table);
    }
    return table;
  }
  dropUnused() {
    for (const table of [...this.tables.values()]) if (table !== this.root) this.destroy(table);
    this.observer.flushTlb();
  }
  destroy(table) {
    const base = table.frame * 4096;
    if (table.kind === TableKind.root) {
      for (let index2 = 0; index2 < VMM_DIRECTORY_INDEX; index2++) {
        const entry = this.read(base + index2 * 4);
        if ((entry & Entry.present) !== 0) this.byFrame.get(entry >>> 12)?.parents.delete(base + index2 * 4);
      }
    } else {
      for (let index2 = 0; index2 < 1024; index2++) this.dropEntry(table, index2);
      for (const parent of table.parents) this.write(parent, 0);
    }
    this.tables.delete(table.key);
    this.byFrame.delete(table.frame);
    const same = this.byGuestPage.get(table.guestPage);
    if (same?.includes(table)) {
      same.splice(same.indexOf(table), 1);
      if (same.length === 0) {
        this.byGuestPage.delete(table.guestPage);
        this.traces.clear(table.guestPage, Trace.table);
      }
    }
    this.frames.release(table.frame);
  }
  /** Takes one entry out of a table; the page that it mapped, or -1. */
  dropEntry(table, index2) {
    const at = table.frame * 4096 + index2 * 4;
    const old = this.read(at);
    if ((old & Entry.present) === 0) return -1;
    const page = table.pages[index2];
    this.reverse.remove(page, at);
    this.write(at, 0);
    if (table.kind === TableKind.table && this.observer.hasCode(page)) this.observer.codeMappingDropped(page);
    return page;
  }
  /** Traces the page table that holds a guest entry although no shadow was made of it; -1 for none. */
  traceTable(entryAddress) {
    if (entryAddress >= 0) this.table(TableKind.table, entryAddress >>> 12, 0);
  }
  /** Follows a write to a guest page that holds page tables or directories. @param address guest-physical. */
  guestTableWritten(address, length) {
    const page = address >>> 12;
    const same = this.byGuestPage.get(page);
    if (same === void 0) return;
    const first = (address & 4095) >> 2;
    const last = Math.min((address & 4095) + length - 1 >> 2, 1023);
    for (const table of [...same]) {
      if (++table.writes > FLOOD_LIMIT && table !== this.root && !this.holdsCode(table)) {
        this.destroy(table);
        this.observer.flushTlb();
        continue;
      }
      for (let index2 = first; index2 <= last; index2++) {
        if (table.kind === TableKind.table) this.dropEntry(table, index2);
        else this.unlink(table, index2);
      }
    }
  }
  holdsCode(table) {
    if (table.kind !== TableKind.table) return false;
    for (let index2 = 0; index2 < 1024; index2++) {
      const present = (this.read(table.frame * 4096 + index2 * 4) & Entry.present) !== 0;
      if (present && this.observer.hasCode(table.pages[index2])) return true;
    }
    return false;
  }
  unlink(root, index2) {
    if (index2 !== VMM_DIRECTORY_INDEX) {
      const at = root.frame * 4096 + index2 * 4;
      const old = this.read(at);
      if ((old & Entry.present) !== 0) {
        this.byFrame.get(old >>> 12)?.parents.delete(at);
        this.write(at, 0);
      }
    }
    if (root === this.root) this.observer.directoryEntryChanged(index2);
  }
  /** Lets a page-table page be written freely: its shadows are dropped and come back, traced, when next used. */
  forgetTables(page) {
    for (const table of [...this.byGuestPage.get(page) ?? []]) {
      if (table === this.root) {
        for (let index2 = 0; index2 < VMM_DIRECTORY_INDEX; index2++) this.unlink(table, index2);
        this.traces.clear(page, Trace.table);
      } else this.destroy(table);
    }
    this.observer.flushTlb();
  }
  /** Takes the write permission from every mapping of a page that is traced from now on. */
  protect(page) {
    for (const at of this.reverse.of(page)) this.write(at, this.read(at) & ~Entry.writable);
    this.observer.flushTlb();
  }
  /** A shadow entry at a host-physical address. */
  read(address) {
    return this.i32[RAM_BASE + address >>> 2];
  }
  write(address, entry) {
    this.host.write(address, 4, entry >>> 0);
  }
};

// emulator/vmm/guest/guest-linear-memory.ts
var PAGE_FAULT = 14;
var GuestLinearMemory = class {
  constructor(shadow, memory) {
    this.shadow = shadow;
    this.memory = memory;
  }
  shadow;
  memory;
  /** Accesses that the shadow tables alone could not answer. */
  slowAccesses = 0;
  /** Guest-physical address for an access (Access bits), with every effect of the access on the guest's tables. @throws {GuestFault} #PF */
  translate(linear, access) {
    this.slowAccesses++;
    const result = this.shadow.fill(linear, access);
    const { walk } = this.shadow;
    if (result === FillResult.fault) throw new GuestFault(PAGE_FAULT, walk.errorCode, linear >>> 0);
    return walk.physical;
  }
  /** An unsigned value of `size` bytes. @throws {GuestFault} #PF */
  read(linear, size, user) {
    if ((linear & 4095) + size > 4096) {
      let value = 0;
      for (let at = 0; at < size; at++) value += this.read(linear + at >>> 0, 1, user) * 2 ** (8 * at);
      return value;
    }
    const access = user ? Access2.user : Access2.read;
    const host = this.shadow.lookup(linear, access);
    if (host >= 0) return this.memory.host.read(host, size);
    return this.memory.read(this.translate(linear, access), size);
  }
  /** @throws {GuestFault} #PF, before any byte is written */
  write(linear, size, value, user) {
    const access = Access2.write | (user ? Access2.user : 0);
    if ((linear & 4095) + size > 4096) {
      this.translate(linear, access);
      this.translate(linear + size - 1 >>> 0, access);
      for (let at = 0; at < size; at++) this.write(linear + at >>> 0, 1, value >>> 8 * at & 255, user);
      return;
    }
    const host = this.shadow.lookup(linear, access);
    const unsigned = size === 4 ? value >>> 0 : value & (size === 2 ? 65535 : 255);
    if (host >= 0) this.memory.host.write(host, size, unsigned);
    else this.memory.write(this.translate(linear, access), size, unsigned);
  }
  /** Makes sure that a write of a range would not fault. @throws {GuestFault} #PF */
  probeWrite(linear, length, user) {
    const access = Access2.write | (user ? Access2.user : 0);
    for (const at of [linear >>> 0, linear + length - 1 >>> 0])
      if (this.shadow.lookup(at, access) < 0) this.translate(at, access);
  }
};

// emulator/vmm/guest/guest-physical-memory.ts
var UNTOUCHED = -1;
var GuestPhysicalMemory = class {
  /** @param ramBytes a multiple of 4096. */
  constructor(host, frames, ramBytes) {
    this.host = host;
    this.frames = frames;
    this.ramBytes = ramBytes;
    this.pmap = new Int32Array(ramBytes / 4096).fill(UNTOUCHED);
    this.kind.fill(PageKind.ram, 0, ramBytes / 4096);
  }
  host;
  frames;
  ramBytes;
  /** Host frame of each guest RAM page, or -1 when the page was never touched. */
  pmap;
  /** PageKind of every guest page below 4 GiB. */
  kind = new Uint8Array(1 << 20);
  bus;
  /** Called after bytes of a page changed by another hand than the guest's own untraced stores. */
  onWrite = () => {
  };
  kindOf(page) {
    return page < this.kind.length ? this.kind[page] : PageKind.unmapped;
  }
  isRam(page) {
    return this.kindOf(page) === PageKind.ram;
  }
  isBacked(address) {
    const kind = this.kindOf(Math.floor(address / 4096));
    return kind === PageKind.ram || kind === PageKind.rom;
  }
  /** Host frame of a backed guest page; a page touched for the first time gets a frame of zeros. */
  frameOf(page) {
    const frame = this.pmap[page];
    if (frame !== UNTOUCHED) return frame;
    const fresh = this.frames.allocate();
    const start = RAM_BASE + fresh * 4096;
    this.host.u8.fill(0, start, start + 4096);
    this.pmap[page] = fresh;
    return fresh;
  }
  /** Host-physical address of a byte of a backed page. */
  hostAddress(address) {
    return this.frameOf(address >>> 12) * 4096 + (address & 4095);
  }
  /** A dword of RAM that does not cross a page (a page-table entry, a descriptor half); all ones where there is no RAM. */
  read32(address) {
    if (!this.isBacked(address)) return this.read(address, 4) | 0;
    return this.host.i32[RAM_BASE + this.hostAddress(address) >> 2];
  }
  /** Sets bits in a dword of RAM, as the processor sets accessed and dirty bits: no trace is told. */
  setBits(address, bits2) {
    if (!this.isRam(address >>> 12)) return;
    const at = this.hostAddress(address);
    this.host.write(at, 4, (this.host.i32[RAM_BASE + at >> 2] | bits2) >>> 0);
  }
  /** Reads within one page, with the side effects that a device gives to it. */
  read(address, size) {
    if (this.isBacked(address)) return this.host.read(this.hostAddress(address), size);
    if (this.bus) return this.bus.read(address, size);
    return size === 1 ? 255 : size === 2 ? 65535 : 4294967295;
  }
  /** Writes within one page; the write traces of the page are told. */
  write(address, size, value) {
    const kind = this.kindOf(address >>> 12);
    if (kind === PageKind.ram) {
      this.host.write(this.hostAddress(address), size, value);
      this.onWrite(address, size);
    } else if (kind !== PageKind.rom) this.bus?.write(address, size, value);
  }
  /** Copies bytes of RAM or ROM without touching a page or a device; undefined when any of them is not backed. */
  peek(address, length) {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + done;
      if (!this.isBacked(at)) return void 0;
      const part = Math.min(length - done, 4096 - at % 4096);
      const frame = this.pmap[Math.floor(at / 4096)];
      if (frame !== UNTOUCHED) {
        const start = RAM_BASE + frame * 4096 + at % 4096;
        bytes.set(this.host.u8.subarray(start, start + part), done);
      }
      done += part;
    }
    return bytes;
  }
  /** Stores bytes in RAM or ROM (a loader's or a debugger's write); false, and nothing changed, when any of them is not backed. */
  poke(address, bytes) {
    for (let page = Math.floor(address / 4096); page * 4096 < address + bytes.length; page++)
      if (!this.isBacked(page * 4096)) return false;
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const part = Math.min(bytes.length - done, 4096 - at % 4096);
      this.host.poke(this.hostAddress(at), bytes.subarray(done, done + part));
      this.onWrite(at, part);
      done += part;
    }
    return true;
  }
};

// emulator/vmm/guest/guest-registers.ts
var ESP2 = 4;
var GuestRegisters = class {
  constructor(state) {
    this.state = state;
  }
  state;
  eip = 0;
  esp = 0;
  /** The host's image: IF is always set, IOPL 0. The guest's is made of it and of the vCPU. */
  eflags = 514;
  read32(register) {
    return register === ESP2 ? this.esp >>> 0 : this.state.gpr32(register) >>> 0;
  }
  write32(register, value) {
    if (register === ESP2) this.esp = value >>> 0;
    else this.state.setGpr32(register, value | 0);
  }
  /** A register operand by its number in the encoding; 8-bit numbers 4 to 7 are AH, CH, DH and BH. */
  read(register, size) {
    if (size === 4) return this.read32(register);
    if (size === 2) return this.read32(register) & 65535;
    return this.read32(register & 3) >>> (register & 4 ? 8 : 0) & 255;
  }
  write(register, size, value) {
    if (size === 4) this.write32(register, value);
    else if (size === 2) this.write32(register, this.read32(register) & 4294901760 | value & 65535);
    else {
      const shift3 = register & 4 ? 8 : 0;
      const old = this.read32(register & 3);
      this.write32(register & 3, old & ~(255 << shift3) | (value & 255) << shift3);
    }
  }
};

// emulator/vmm/guest/arithmetic.ts
var Flag2 = { cf: 1, pf: 4, af: 16, zf: 64, sf: 128, df: 1024, of: 2048 };
var ARITHMETIC_FLAGS = 2261;
function mask(size) {
  return size === 4 ? 4294967295 : size === 2 ? 65535 : 255;
}
function signBit(size) {
  return size === 4 ? 2147483648 : size === 2 ? 32768 : 128;
}
function parity(value) {
  let bits2 = value & 255;
  bits2 ^= bits2 >> 4;
  bits2 ^= bits2 >> 2;
  bits2 ^= bits2 >> 1;
  return bits2 & 1 ? 0 : Flag2.pf;
}
function flagsOf(value, size) {
  return parity(value) | (value === 0 ? Flag2.zf : 0) | (value & signBit(size) ? Flag2.sf : 0);
}
function add3(a, b, carry, size) {
  const sum = a + b + carry;
  const value = size === 4 ? sum >>> 0 : sum & mask(size);
  let flags = flagsOf(value, size);
  if (sum > mask(size)) flags |= Flag2.cf;
  if ((a ^ b ^ value) & 16) flags |= Flag2.af;
  if ((a ^ value) & (b ^ value) & signBit(size)) flags |= Flag2.of;
  return { value, flags };
}
function subtract2(a, b, borrow, size) {
  const difference = a - b - borrow;
  const value = size === 4 ? difference >>> 0 : difference & mask(size);
  let flags = flagsOf(value, size);
  if (difference < 0) flags |= Flag2.cf;
  if ((a ^ b ^ value) & 16) flags |= Flag2.af;
  if ((a ^ b) & (a ^ value) & signBit(size)) flags |= Flag2.of;
  return { value, flags };
}
function logic2(value, size) {
  const unsigned = (value & mask(size)) >>> 0;
  return { value: unsigned, flags: flagsOf(unsigned, size) };
}
function group1(operation, a, b, carry, size) {
  switch (operation) {
    case 0:
      return add3(a, b, 0, size);
    case 1:
      return logic2(a | b, size);
    case 2:
      return add3(a, b, carry, size);
    case 3:
      return subtract2(a, b, carry, size);
    case 4:
      return logic2(a & b, size);
    case 6:
      return logic2(a ^ b, size);
    default:
      return subtract2(a, b, 0, size);
  }
}
function group2(operation, a, amount, before2, size) {
  const bits2 = size * 8;
  let count = amount & 31;
  if (count === 0) return { value: a, flags: before2 & ARITHMETIC_FLAGS };
  const top = signBit(size);
  let value = a;
  let carry = before2 & Flag2.cf;
  const single2 = count === 1;
  if (operation < 2) count = count % bits2 === 0 ? bits2 : count % bits2;
  else if (operation < 4) count %= bits2 + 1;
  const originalTop = (a & top) !== 0;
  for (let step2 = 0; step2 < count; step2++) {
    const high2 = (value & top) !== 0 ? 1 : 0;
    const low2 = value & 1;
    switch (operation) {
      case 0:
        value = (value << 1 | high2) & mask(size);
        carry = high2;
        break;
      case 1:
        value = value >>> 1 | (low2 ? top : 0);
        carry = low2;
        break;
      case 2:
        value = (value << 1 | carry) & mask(size);
        carry = high2;
        break;
      case 3:
        value = value >>> 1 | (carry ? top : 0);
        carry = low2;
        break;
      case 5:
        value >>>= 1;
        carry = low2;
        break;
      case 7:
        value = value >>> 1 | (high2 ? top : 0);
        carry = low2;
        break;
      default:
        value = value << 1 & mask(size);
        carry = high2;
    }
    value >>>= 0;
  }
  const resultTop = (value & top) !== 0;
  let overflow = before2 & Flag2.of;
  if (single2) {
    const set = operation === 0 || operation === 2 || operation === 4 || operation === 6 ? resultTop !== (carry !== 0) : operation === 1 || operation === 3 ? resultTop !== ((value & top >>> 1) !== 0) : operation === 5 ? originalTop : false;
    overflow = set ? Flag2.of : 0;
  }
  if (operation < 4) return { value, flags: before2 & (ARITHMETIC_FLAGS & ~(Flag2.cf | Flag2.of)) | carry | overflow };
  return { value, flags: flagsOf(value, size) | carry | overflow };
}
function condition2(code, flags) {
  const sf = (flags & Flag2.sf) !== 0;
  const of = (flags & Flag2.of) !== 0;
  const zf = (flags & Flag2.zf) !== 0;
  const base = [
    of,
    (flags & Flag2.cf) !== 0,
    zf,
    (flags & Flag2.cf) !== 0 || zf,
    sf,
    (flags & Flag2.pf) !== 0,
    sf !== of,
    zf || sf !== of
  ][code >> 1];
  return (code & 1) !== 0 ? !base : base;
}

// emulator/vmm/guest/instruction-emulator.ts
var STRING_BURST = 4096;
var { cf: CF, zf: ZF, df: DF } = Flag2;
var [EAX2, ECX2, EDX, EBX, ESI, EDI] = [0, 1, 2, 3, 6, 7];
var InstructionEmulator = class {
  constructor(registers, memory) {
    this.registers = registers;
    this.memory = memory;
  }
  registers;
  memory;
  i;
  /**
   * Executes the instruction and moves EIP behind it (a repeated one that is not done keeps it). False when it is none that
   * this emulator knows; nothing has changed then. @throws {GuestFault} with nothing changed but what repeated steps did
   */
  execute(instruction2, next) {
    this.i = instruction2;
    const { opcode } = instruction2;
    const result = opcode < 256 ? this.oneByte(opcode, next) : this.twoBytes(opcode);
    if (result === "unknown") return false;
    if (result === "done") this.registers.eip = next >>> 0;
    return true;
  }
  size(opcode) {
    return (opcode & 1) === 0 ? 1 : this.i.operandSize16 ? 2 : 4;
  }
  get wide() {
    return this.i.operandSize16 ? 2 : 4;
  }
  // Operands.
  /** Offset of the ModRM memory operand in its segment, plus `displaced` bytes, masked to the address size. */
  effectiveOffset(displaced = 0) {
    const { i, registers } = this;
    let offset = i.displacement + displaced;
    if (i.base >= 0) offset += registers.read32(i.base);
    if (i.index >= 0) offset += registers.read32(i.index) * 2 ** i.scale;
    const modulus = i.addressSize16 ? 65536 : 4294967296;
    return (offset % modulus + modulus) % modulus;
  }
  address(size, write) {
    return this.memory.linear(this.i.segment, this.effectiveOffset(), size, write);
  }
  /** Makes `instruction` the one whose operands the methods below speak of. */
  begin(instruction2) {
    this.i = instruction2;
  }
  /** Offset of the memory operand. */
  operandOffset() {
    return this.effectiveOffset();
  }
  /** Linear address of the memory operand, checked for an access of `size` bytes. @throws {GuestFault} */
  operandAddress(size, write) {
    return this.address(size, write);
  }
  /** @throws {GuestFault} */
  readOperand(size) {
    return this.readRm(size);
  }
  /** @throws {GuestFault} */
  writeOperand(size, value) {
    this.writeRm(size, value);
  }
  /** @throws {GuestFault} */
  pushValue(value) {
    this.push(value);
  }
  /** Reads the ModRM operand, changes it, writes it. `change` gives the new value, or undefined for none. */
  modify(size, change) {
    const { i, registers, memory } = this;
    if (!i.inMemory) {
      const value2 = change(registers.read(i.rm, size));
      if (value2 !== void 0) registers.write(i.rm, size, value2);
      return;
    }
    const at = this.address(size, true);
    const value = change(memory.read(at, size));
    if (value !== void 0) memory.write(at, size, value);
  }
  readRm(size) {
    const { i, registers } = this;
    return i.inMemory ? this.memory.read(this.address(size, false), size) : registers.read(i.rm, size);
  }
  writeRm(size, value) {
    const { i, registers } = this;
    if (i.inMemory) this.memory.write(this.address(size, true), size, value);
    else registers.write(i.rm, size, value);
  }
  setFlags(flags, affected = ARITHMETIC_FLAGS) {
    this.registers.eflags = this.registers.eflags & ~affected | flags & affected;
  }
  get carry() {
    return this.registers.eflags & CF;
  }
  oneByte(opcode, next) {
    const { i, registers } = this;
    if (opcode < 64 && (opcode & 7) < 4) return this.arithmetic(opcode);
    switch (opcode) {
      case 128:
      case 129:
      case 131: {
        const size = this.size(opcode);
        const immediate = i.immediate(opcode === 129 ? size : 1);
        const b = size === 4 ? immediate >>> 0 : immediate & (size === 2 ? 65535 : 255);
        return this.group(i.reg, size, b);
      }
      case 132:
      case 133: {
        const size = this.size(opcode);
        this.setFlags(logic2(this.readRm(size) & registers.read(i.reg, size), size).flags);
        return "done";
      }
      case 134:
      case 135: {
        const size = this.size(opcode);
        let old = 0;
        const value = registers.read(i.reg, size);
        this.modify(size, (before2) => {
          old = before2;
          return value;
        });
        registers.write(i.reg, size, old);
        return "done";
      }
      case 136:
      case 137:
        this.writeRm(this.size(opcode), registers.read(i.reg, this.size(opcode)));
        return "done";
      case 138:
      case 139:
        registers.write(i.reg, this.size(opcode), this.readRm(this.size(opcode)));
        return "done";
      case 143: {
        if (i.reg !== 0) return "unknown";
        return this.popMemory();
      }
      case 160:
      case 161: {
        const size = this.size(opcode);
        const at = this.memory.linear(i.segmentPrefix ?? Segment.ds, this.absolute(), size, false);
        registers.write(EAX2, size, this.memory.read(at, size));
        return "done";
      }
      case 162:
      case 163: {
        const size = this.size(opcode);
        const at = this.memory.linear(i.segmentPrefix ?? Segment.ds, this.absolute(), size, true);
        this.memory.write(at, size, registers.read(EAX2, size));
        return "done";
      }
      case 164:
      case 165:
      case 166:
      case 167:
      case 170:
      case 171:
      case 172:
      case 173:
      case 174:
      case 175:
        return this.string(opcode);
      case 192:
      case 193:
        return this.shift(this.size(opcode), i.immediate(1) & 255);
      case 208:
      case 209:
        return this.shift(this.size(opcode), 1);
      case 210:
      case 211:
        return this.shift(this.size(opcode), registers.read(ECX2, 1));
      case 198:
      case 199: {
        if (i.reg !== 0) return "unknown";
        const size = this.size(opcode);
        this.writeRm(size, i.immediate(size));
        return "done";
      }
      case 246:
      case 247:
        return this.group3(this.size(opcode));
      case 254:
      case 255:
        return this.group5(opcode, next);
      default:
        if (opcode >= 80 && opcode <= 87) {
          this.push(registers.read(opcode & 7, this.wide));
          return "done";
        }
        if (opcode >= 88 && opcode <= 95) {
          registers.write(opcode & 7, this.wide, this.pop());
          return "done";
        }
        if (opcode === 232 && !i.operandSize16) {
          this.push(next);
          registers.eip = next + i.immediate(4) >>> 0;
          return "jumped";
        }
        if (opcode === 96) return this.pushAll();
        if (opcode === 156) {
          this.push(this.memory.flagsImage());
          return "done";
        }
        if (opcode < 32 && (opcode & 7) === 6) {
          this.push(this.memory.selector(opcode >> 3));
          return "done";
        }
        if (opcode === 200 && (i.immediate(1, 2) & 31) === 0) return this.enter();
        if (opcode === 104 || opcode === 106) {
          this.push(i.immediate(opcode === 106 ? 1 : this.wide));
          return "done";
        }
        return "unknown";
    }
  }
  absolute() {
    return this.i.addressSize16 ? this.i.immediate(2) & 65535 : this.i.immediate(4) >>> 0;
  }
  /** Opcodes 00..3B: ADD OR ADC SBB AND SUB XOR CMP between ModRM and a register. */
  arithmetic(opcode) {
    const { i, registers } = this;
    const size = this.size(opcode);
    const operation = opcode >> 3;
    const register = registers.read(i.reg, size);
    if (opcode & 2) {
      const { value, flags } = group1(operation, register, this.readRm(size), this.carry, size);
      if (operation !== 7) registers.write(i.reg, size, value);
      this.setFlags(flags);
      return "done";
    }
    return this.group(operation, size, register);
  }
  group(operation, size, b) {
    if (operation === 7) {
      this.setFlags(group1(7, this.readRm(size), b, 0, size).flags);
      return "done";
    }
    const { carry } = this;
    let flags = 0;
    this.modify(size, (a) => {
      const result = group1(operation, a, b, carry, size);
      flags = result.flags;
      return result.value;
    });
    this.setFlags(flags);
    return "done";
  }
  shift(size, count) {
    const before2 = this.registers.eflags;
    let flags = 0;
    this.modify(size, (a) => {
      const result = group2(this.i.reg, a, count, before2, size);
      flags = result.flags;
      return result.value;
    });
    this.setFlags(flags);
    return "done";
  }
  /** F6, F7: TEST NOT NEG MUL IMUL; divisions are left to the processor. */
  group3(size) {
    const { i } = this;
    if (i.reg < 2) {
      this.setFlags(logic2(this.readRm(size) & i.immediate(size), size).flags);
      return "done";
    }
    if (i.reg === 2) {
      this.modify(size, (a) => ~a);
      return "done";
    }
    if (i.reg === 3) {
      let flags = 0;
      this.modify(size, (a) => {
        const result = subtract2(0, a, 0, size);
        flags = result.flags;
        return result.value;
      });
      this.setFlags(flags);
      return "done";
    }
    return "unknown";
  }
  /** FE, FF: INC DEC CALL JMP PUSH; CALL and JMP set EIP by themselves. */
  group5(opcode, next) {
    const { i } = this;
    const size = this.size(opcode);
    if (i.reg < 2) {
      let flags = 0;
      this.modify(size, (a) => {
        const result = i.reg === 0 ? add3(a, 1, 0, size) : subtract2(a, 1, 0, size);
        flags = result.flags;
        return result.value;
      });
      this.setFlags(flags, ARITHMETIC_FLAGS & ~CF);
      return "done";
    }
    if (opcode === 255 && i.reg === 6) {
      this.push(this.readRm(this.wide));
      return "done";
    }
    if (opcode === 255 && (i.reg === 2 || i.reg === 4) && !i.operandSize16) {
      const target = this.readRm(4);
      if (i.reg === 2) this.push(next);
      this.registers.eip = target;
      return "jumped";
    }
    return "unknown";
  }
  twoBytes(opcode) {
    const { i, registers } = this;
    const { wide } = this;
    if (opcode >= 3904 && opcode <= 3919) {
      const value = this.readRm(wide);
      if (condition2(opcode & 15, registers.eflags)) registers.write(i.reg, wide, value);
      return "done";
    }
    if (opcode >= 3984 && opcode <= 3999) {
      this.writeRm(1, condition2(opcode & 15, registers.eflags) ? 1 : 0);
      return "done";
    }
    switch (opcode) {
      case 4e3:
      case 4008:
        this.push(this.memory.selector(opcode === 4e3 ? Segment.fs : Segment.gs));
        return "done";
      case 4003:
      case 4011:
      case 4019:
      case 4027:
        return this.bit(opcode >> 3 & 3, registers.read(i.reg, wide), true);
      case 4026:
        if (i.reg < 4) return "unknown";
        return this.bit(i.reg & 3, i.immediate(1) & wide * 8 - 1, false);
      case 4016:
      case 4017:
        return this.compareExchange(this.size(opcode));
      case 4022:
      case 4023:
        registers.write(i.reg, wide, this.readRm(opcode === 4022 ? 1 : 2));
        return "done";
      case 4030:
        registers.write(i.reg, wide, this.readRm(1) << 24 >> 24);
        return "done";
      case 4031:
        registers.write(i.reg, wide, this.readRm(2) << 16 >> 16);
        return "done";
      case 4032:
      case 4033: {
        const size = this.size(opcode);
        const b = registers.read(i.reg, size);
        let old = 0;
        let flags = 0;
        this.modify(size, (a) => {
          old = a;
          const result = add3(a, b, 0, size);
          flags = result.flags;
          return result.value;
        });
        if (i.inMemory || i.rm !== i.reg) registers.write(i.reg, size, old);
        this.setFlags(flags);
        return "done";
      }
      case 4035:
        this.writeRm(4, registers.read32(i.reg));
        return "done";
      case 4039:
        return i.reg === 1 && i.inMemory ? this.compareExchange8() : "unknown";
      default:
        return "unknown";
    }
  }
  /** BT, BTS, BTR, BTC. A register offset may reach beyond the operand (SDM Vol. 2A, BT). */
  bit(operation, bitOffset, reach) {
    const { i, memory, wide } = this;
    const bits2 = wide * 8;
    const index2 = bitOffset & bits2 - 1;
    let carry = 0;
    const apply = (old) => {
      carry = old >>> index2 & 1;
      const bit2 = 1 << index2;
      return operation === 0 ? void 0 : operation === 1 ? old | bit2 : operation === 2 ? old & ~bit2 : old ^ bit2;
    };
    if (!i.inMemory || !reach) {
      if (operation === 0) apply(this.readRm(wide));
      else this.modify(wide, apply);
      this.setFlags(carry, CF);
      return "done";
    }
    const signed = wide === 2 ? bitOffset << 16 >> 16 : bitOffset | 0;
    const offset = this.effectiveOffset(Math.floor(signed / bits2) * wide);
    const linear = memory.linear(i.segment, offset, wide, operation !== 0);
    const value = apply(memory.read(linear, wide));
    if (value !== void 0) memory.write(linear, wide, value);
    this.setFlags(carry, CF);
    return "done";
  }
  compareExchange(size) {
    const { i, registers } = this;
    const expected = registers.read(EAX2, size);
    const replacement = registers.read(i.reg, size);
    let old = 0;
    this.modify(size, (a) => {
      old = a;
      return a === expected ? replacement : a;
    });
    const { flags } = subtract2(expected, old, 0, size);
    if (old !== expected) registers.write(EAX2, size, old);
    this.setFlags(flags);
    return "done";
  }
  compareExchange8() {
    const { registers, memory } = this;
    const at = this.address(8, true);
    const low2 = memory.read(at, 4);
    const high2 = memory.read(at + 4 >>> 0, 4);
    const equal = low2 === registers.read32(EAX2) && high2 === registers.read32(EDX);
    memory.write(at, 4, equal ? registers.read32(EBX) : low2);
    memory.write(at + 4 >>> 0, 4, equal ? registers.read32(ECX2) : high2);
    if (!equal) {
      registers.write32(EAX2, low2);
      registers.write32(EDX, high2);
    }
    this.setFlags(equal ? ZF : 0, ZF);
    return "done";
  }
  push(value) {
    const { registers, memory, wide } = this;
    const esp = registers.esp - wide >>> 0;
    memory.write(memory.linear(Segment.ss, esp, wide, true), wide, value);
    registers.esp = esp;
  }
  /** PUSHA: all or nothing. */
  pushAll() {
    const { registers, memory, wide } = this;
    const { esp } = registers;
    const bottom = esp - 8 * wide >>> 0;
    const at = memory.linear(Segment.ss, bottom, 8 * wide, true);
    for (let register = 0; register < 8; register++)
      memory.write(at + (7 - register) * wide >>> 0, wide, registers.read(register, wide));
    registers.esp = bottom;
    return "done";
  }
  /** ENTER with nesting level 0. */
  enter() {
    const { i, registers, wide } = this;
    this.push(registers.read(5, wide));
    registers.write(5, wide, registers.esp);
    registers.esp = registers.esp - (i.immediate(2) & 65535) >>> 0;
    return "done";
  }
  pop() {
    const { registers, memory, wide } = this;
    const value = memory.read(memory.linear(Segment.ss, registers.esp, wide, false), wide);
    registers.esp = registers.esp + wide >>> 0;
    return value;
  }
  /** POP to memory: the address is computed with ESP as it is after the pop (SDM Vol. 2B, POP). */
  popMemory() {
    const { registers, wide } = this;
    const before2 = registers.esp;
    const value = this.pop();
    try {
      this.writeRm(wide, value);
    } catch (fault) {
      registers.esp = before2;
      throw fault;
    }
    return "done";
  }
  /** MOVS CMPS STOS LODS SCAS, repeated or not. */
  string(opcode) {
    const { i, registers } = this;
    const size = this.size(opcode);
    if (i.repeat === 0) {
      this.stringStep(opcode, size);
      return "done";
    }
    const countSize = i.addressSize16 ? 2 : 4;
    const compares = (opcode & 246) === 166;
    for (let step2 = 0; step2 < STRING_BURST; step2++) {
      const count = registers.read(ECX2, countSize);
      if (count === 0) return "done";
      this.stringStep(opcode, size);
      registers.write(ECX2, countSize, count - 1);
      if (count === 1) return "done";
      if (compares && (registers.eflags & ZF) !== 0 !== (i.repeat === 243)) return "done";
    }
    return "again";
  }
  stringStep(opcode, size) {
    const { i, registers, memory } = this;
    const addressSize = i.addressSize16 ? 2 : 4;
    const step2 = registers.eflags & DF ? -size : size;
    const source = () => memory.read(memory.linear(i.segmentPrefix ?? Segment.ds, registers.read(ESI, addressSize), size, false), size);
    const destination = (write) => memory.linear(Segment.es, registers.read(EDI, addressSize), size, write);
    const advance2 = (register) => registers.write(register, addressSize, registers.read(register, addressSize) + step2);
    switch (opcode & 254) {
      case 164:
        memory.write(destination(true), size, source());
        advance2(ESI);
        advance2(EDI);
        break;
      case 166: {
        const a = source();
        this.setFlags(subtract2(a, memory.read(destination(false), size), 0, size).flags);
        advance2(ESI);
        advance2(EDI);
        break;
      }
      case 170:
        memory.write(destination(true), size, registers.read(EAX2, size));
        advance2(EDI);
        break;
      case 172:
        registers.write(EAX2, size, source());
        advance2(ESI);
        break;
      default:
        this.setFlags(subtract2(registers.read(EAX2, size), memory.read(destination(false), size), 0, size).flags);
        advance2(EDI);
    }
  }
};

// emulator/vmm/guest/port-instructions.ts
var [EAX3, ECX3, EDX2, ESI2, EDI2] = [0, 1, 2, 6, 7];
var DF2 = 1024;
var IO_MAP_BASE3 = 102;
var BURST = 4096;
var PortInstructions = class {
  constructor(guest, ports) {
    this.guest = guest;
    this.ports = ports;
  }
  guest;
  ports;
  /** @throws {GuestFault} #GP(0) when neither IOPL nor the guest's I/O map allows the ports */
  checkPermission(port, size) {
    const { vcpu, memory } = this.guest;
    if (vcpu.cpl <= vcpu.iopl) return;
    const { tr } = vcpu;
    const denied = new GuestFault(Vector2.generalProtection, 0);
    if (tr.access & 65536 || IO_MAP_BASE3 + 1 > tr.limit) throw denied;
    const map = memory.read(tr.base + IO_MAP_BASE3 >>> 0, 2, false) + (port >> 3);
    if (map + 1 > tr.limit) throw denied;
    const bits2 = memory.read(tr.base + map >>> 0, 2, false) >> (port & 7);
    if (bits2 & (1 << size) - 1) throw denied;
  }
  /** IN and OUT. @throws {GuestFault} */
  single(i) {
    const { registers } = this.guest;
    const { opcode } = i;
    const size = (opcode & 1) === 0 ? 1 : i.operandSize16 ? 2 : 4;
    const port = opcode & 8 ? registers.read(EDX2, 2) : i.immediate(1) & 255;
    this.checkPermission(port, size);
    if (opcode & 2) this.ports.write(port, size, registers.read(EAX3, size));
    else registers.write(EAX3, size, this.ports.read(port, size));
  }
  /** INS and OUTS; false when a repeated one is not done. @throws {GuestFault} with the finished steps done */
  string(i) {
    const { registers } = this.guest;
    const size = (i.opcode & 1) === 0 ? 1 : i.operandSize16 ? 2 : 4;
    const port = registers.read(EDX2, 2);
    this.checkPermission(port, size);
    if (i.repeat === 0) {
      this.step(i, port, size);
      return true;
    }
    const countSize = i.addressSize16 ? 2 : 4;
    for (let done = 0; done < BURST; done++) {
      const count = registers.read(ECX3, countSize);
      if (count === 0) return true;
      this.step(i, port, size);
      registers.write(ECX3, countSize, count - 1);
    }
    return registers.read(ECX3, countSize) === 0;
  }
  step(i, port, size) {
    const { guest, ports } = this;
    const { registers } = guest;
    const addressSize = i.addressSize16 ? 2 : 4;
    const input = (i.opcode & 2) === 0;
    const register = input ? EDI2 : ESI2;
    const offset = registers.read(register, addressSize);
    const segment = input ? Segment.es : i.segmentPrefix ?? Segment.ds;
    const at = guest.linear(segment, offset, size, input);
    if (input) guest.write(at, size, ports.read(port, size));
    else ports.write(port, size, guest.read(at, size));
    registers.write(register, addressSize, offset + (registers.eflags & DF2 ? -size : size));
  }
};

// emulator/vmm/virtual-cpu.ts
var GUEST_CR4 = Cr42.tsd | Cr42.de | Cr42.pse | Cr42.pge | Cr42.osfxsr | Cr42.osxmmexcpt;
var UNUSABLE = 1 << 16;
var VirtualCpu = class {
  constructor(block) {
    this.block = block;
  }
  block;
  cr0 = 0;
  cr2 = 0;
  cr3 = 0;
  cr4 = 0;
  dr = new Int32Array(8);
  gdtr = { base: 0, limit: 0 };
  idtr = { base: 0, limit: 0 };
  cs = { selector: 0, access: 0, base: 0, limit: 0 };
  ss = { selector: 0, access: 0, base: 0, limit: 0 };
  /** Valid while translated code runs or the VMM does: then the host's %gs is the VMM's. */
  gs = { selector: 0, access: UNUSABLE, base: 0, limit: 0 };
  ldtr = { selector: 0, access: UNUSABLE, base: 0, limit: 0 };
  tr = { selector: 0, access: UNUSABLE, base: 0, limit: 0 };
  cpl = 0;
  iopl = 0;
  /** EFLAGS.TF of guest code that runs translated (user code has the real one). */
  trapFlag = false;
  sysenterCs = 0;
  sysenterEsp = 0;
  sysenterEip = 0;
  /** Other model-specific registers that the guest may write and read back, by number: [low, high]. */
  msr = /* @__PURE__ */ new Map();
  halted = false;
  /** The state after power-on, in protected mode as the boot protocols leave it. */
  reset() {
    this.cr0 = Cr02.pe | Cr02.et;
    this.cr2 = this.cr3 = this.cr4 = 0;
    this.dr.fill(0);
    this.dr[6] = 4294905840 | 0;
    this.dr[7] = 1024;
    Object.assign(this.gdtr, { base: 0, limit: 65535 });
    Object.assign(this.idtr, { base: 0, limit: 0 });
    for (const segment of [this.gs, this.ldtr, this.tr])
      Object.assign(segment, { selector: 0, access: UNUSABLE, base: 0, limit: 0 });
    this.cpl = 0;
    this.iopl = 0;
    this.trapFlag = false;
    this.sysenterCs = this.sysenterEsp = this.sysenterEip = 0;
    this.msr.clear();
    this.halted = false;
    this.interruptFlag = false;
    this.pendingInterrupt = false;
    this.publishSelectors();
  }
  /** The guest's EFLAGS.IF; it lies in the vCPU block, where translated code reads and writes it. */
  get interruptFlag() {
    return this.block.read32(VcpuBlock.interruptAdjust) === 0;
  }
  set interruptFlag(set) {
    this.block.write32(VcpuBlock.interruptAdjust, set ? 0 : INTERRUPTS_OFF);
  }
  /** A virtual interrupt waits for IF; translated STI looks at it. */
  get pendingInterrupt() {
    return this.block.read32(VcpuBlock.pendingInterrupt) !== 0;
  }
  set pendingInterrupt(set) {
    this.block.write32(VcpuBlock.pendingInterrupt, set ? 1 : 0);
  }
  /** Stores the selectors that translated code reads from the vCPU block. */
  publishSelectors() {
    this.block.write32(VcpuBlock.guestCs, this.cs.selector);
    this.block.write32(VcpuBlock.guestSs, this.ss.selector);
    this.block.write32(VcpuBlock.guestGs, this.gs.selector);
    this.block.write32(VcpuBlock.guestLdtr, this.ldtr.selector);
    this.block.write32(VcpuBlock.guestTr, this.tr.selector);
  }
};

// emulator/vmm/guest/guest-cpuid.ts
var FEATURES_EDX = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 11 | 1 << 13 | 1 << 15 | 1 << 19 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26;
var FEATURES_ECX = 1 << 0 | 1 << 9 | 1 << 19 | 1 << 20 | 1 << 23;
function guestCpuid(leaf, [eax, ebx, ecx, edx]) {
  switch (leaf >>> 0) {
    case 1:
      return [eax, ebx, ecx & FEATURES_ECX, edx & FEATURES_EDX];
    case 6:
    case 7:
    case 13:
      return [0, 0, 0, 0];
    case 2147483649:
      return [eax, ebx, 0, 0];
    default:
      return [eax, ebx, ecx, edx];
  }
}

// emulator/vmm/guest/privileged-instructions.ts
var { generalProtection, invalidOpcode, segmentNotPresent } = Vector2;
var [EAX4, ECX4, EDX3, EBX2] = [0, 1, 2, 3];
var ZF2 = 64;
var POPPED = /* @__PURE__ */ new Map([
  [7, Segment.es],
  [31, Segment.ds],
  [4001, Segment.fs]
]);
var FAR_POINTERS = /* @__PURE__ */ new Map([
  [196, Segment.es],
  [197, Segment.ds],
  [4020, Segment.fs]
]);
var TWO_32 = 4294967296;
var LAR_TYPES2 = [1, 2, 3, 4, 5, 9, 11, 12];
var LSL_TYPES2 = [1, 2, 3, 9, 11];
var PrivilegedInstructions = class {
  constructor(guest, operands, transfer, ports, surroundings) {
    this.guest = guest;
    this.operands = operands;
    this.transfer = transfer;
    this.ports = ports;
    this.surroundings = surroundings;
  }
  guest;
  operands;
  transfer;
  ports;
  surroundings;
  /**
   * Executes the instruction at the guest's EIP; `next` is the address behind it. False when it is none of those known here.
   * @throws {GuestFault} with nothing changed
   */
  execute(i, next) {
    const { registers } = this.guest;
    this.operands.begin(i);
    this.moved = false;
    const known = i.opcode < 256 ? this.oneByte(i, next) : this.twoBytes(i);
    if (known && !this.moved) registers.eip = next;
    return known;
  }
  /** The instruction set EIP itself, perhaps to its own address. */
  moved = false;
  requirePrivilege() {
    if (this.guest.user) throw new GuestFault(generalProtection, 0);
  }
  oneByte(i, next) {
    const { guest, operands, transfer } = this;
    const { registers } = guest;
    switch (i.opcode) {
      case 23:
        this.loadStackSegment(guest.peekStack(0, i.operandSize16 ? 2 : 4) & 65535);
        registers.esp = registers.esp + (i.operandSize16 ? 2 : 4) >>> 0;
        return true;
      case 108:
      case 109:
      case 110:
      case 111:
        this.moved = !this.ports.string(i);
        return true;
      case 140:
        this.storeSelector(i);
        return true;
      case 142: {
        const selector = operands.readOperand(2);
        if (i.reg === Segment.ss) this.loadStackSegment(selector);
        else this.loadGs(selector);
        return true;
      }
      case 154:
      case 234: {
        const size = i.operandSize16 ? 2 : 4;
        const offset = size === 2 ? i.immediate(2) & 65535 : i.immediate(4) >>> 0;
        this.moved = true;
        transfer.farTransfer(i.immediate(2, size) & 65535, offset, i.opcode === 154, i.operandSize16, next);
        return true;
      }
      case 156:
        operands.pushValue(guest.flagsImage());
        return true;
      case 157:
        this.popFlags(i);
        return true;
      case 202:
      case 203:
        this.moved = true;
        transfer.farReturn(i.operandSize16, i.opcode === 202 ? i.immediate(2) & 65535 : 0);
        return true;
      case 204:
        return this.software(3, next);
      case 205:
        return this.software(i.immediate(1) & 255, next);
      case 206:
        return (registers.eflags & 2048) === 0 || this.software(4, next);
      case 241:
        return this.software(1, next);
      case 207:
        this.moved = true;
        this.interruptReturn(i);
        return true;
      case 228:
      case 229:
      case 230:
      case 231:
      case 236:
      case 237:
      case 238:
      case 239:
        this.ports.single(i);
        return true;
      case 244:
        this.requirePrivilege();
        guest.vcpu.halted = true;
        return true;
      case 250:
      case 251:
        if (guest.vcpu.iopl < guest.vcpu.cpl) throw new GuestFault(generalProtection, 0);
        guest.vcpu.interruptFlag = i.opcode === 251;
        return true;
      case 255: {
        if (i.reg !== 3 && i.reg !== 5) return false;
        const size = i.operandSize16 ? 2 : 4;
        const at = operands.operandAddress(size + 2, false);
        const offset = guest.read(at, size);
        const selector = guest.read(at + size >>> 0, 2);
        this.moved = true;
        transfer.farTransfer(selector, offset, i.reg === 3, i.operandSize16, next);
        return true;
      }
      default:
        return false;
    }
  }
  software(vector2, next) {
    this.moved = true;
    this.surroundings.softwareInterrupt(vector2, next);
    return true;
  }
  interruptReturn(i) {
    const { vcpu } = this.guest;
    const { iopl } = vcpu;
    this.transfer.interruptReturn(i.operandSize16);
    if (vcpu.iopl !== iopl) this.surroundings.privilegeLevelChanged();
  }
  popFlags(i) {
    const { guest } = this;
    const { vcpu, registers } = guest;
    const size = i.operandSize16 ? 2 : 4;
    const image = guest.peekStack(0, size);
    let mask2 = (size === 4 ? LOADABLE : LOADABLE & 65535) & ~65536;
    if (vcpu.cpl === 0) mask2 |= 12288;
    if (vcpu.cpl <= vcpu.iopl) mask2 |= 512;
    const { iopl } = vcpu;
    guest.loadEflags(image, mask2, vcpu.cpl);
    registers.esp = registers.esp + size >>> 0;
    if (vcpu.iopl !== iopl) this.surroundings.privilegeLevelChanged();
  }
  storeSelector(i) {
    const selector = this.guest.selector(i.reg);
    if (i.inMemory) this.operands.writeOperand(2, selector);
    else this.operands.writeOperand(i.operandSize16 ? 2 : 4, selector);
  }
  loadStackSegment(selector) {
    const { guest } = this;
    const stack = guest.stackDescriptor(selector, guest.vcpu.cpl, generalProtection);
    guest.fillSegment(guest.vcpu.ss, selector, stack);
    this.surroundings.stackSegmentLoaded();
  }
  loadGs(selector) {
    const { guest } = this;
    const found = this.dataDescriptor(selector);
    if (found === void 0) {
      guest.vcpu.gs.selector = selector;
      guest.vcpu.gs.access |= 65536;
    } else guest.fillSegment(guest.vcpu.gs, selector, found);
  }
  /** The descriptor that a load of ES, DS, FS or GS finds; undefined for a null selector. @throws {GuestFault} #GP, #NP */
  dataDescriptor(selector) {
    const { guest } = this;
    const { cpl } = guest.vcpu;
    if ((selector & ~3) === 0) return void 0;
    const found = guest.findDescriptor(selector, generalProtection);
    const readable = (found[1] & High.code) === 0 || (found[1] & High.writable) !== 0;
    const conforming = (found[1] & (High.code | High.conforming)) === (High.code | High.conforming);
    const allowed = conforming || privilegeOf(found) >= cpl && privilegeOf(found) >= (selector & 3);
    if ((found[1] & High.s) === 0 || !readable || !allowed) throw new GuestFault(generalProtection, selector & 65532);
    if ((found[1] & High.present) === 0) throw new GuestFault(segmentNotPresent, selector & 65532);
    return found;
  }
  /**
   * Loads of a segment register that translated and user code do by themselves as long as the descriptor has a shadow:
   * MOV, POP, LES, LDS, LFS. False for other instructions. @throws {GuestFault} with nothing changed
   */
  loadSegment(i, next) {
    const { guest, operands } = this;
    const { registers } = guest;
    operands.begin(i);
    const size = i.operandSize16 ? 2 : 4;
    const popped = POPPED.get(i.opcode);
    const far = FAR_POINTERS.get(i.opcode);
    if (popped !== void 0) {
      this.surroundings.loadHostSegment(popped, this.checked(guest.peekStack(0, size) & 65535));
      registers.esp = registers.esp + size >>> 0;
    } else if (far !== void 0 && i.inMemory) {
      const at = operands.operandAddress(size + 2, false);
      const offset = guest.read(at, size);
      this.surroundings.loadHostSegment(far, this.checked(guest.read(at + size >>> 0, 2)));
      registers.write(i.reg, size, offset);
    } else if (i.opcode === 142 && (i.reg === Segment.es || i.reg === Segment.ds || i.reg === Segment.fs)) {
      this.surroundings.loadHostSegment(i.reg, this.checked(operands.readOperand(2)));
    } else return false;
    registers.eip = next >>> 0;
    return true;
  }
  checked(selector) {
    const found = this.dataDescriptor(selector);
    if (found !== void 0 && (found[1] & High.accessed) === 0)
      this.guest.descriptors.setHighBits(selector, High.accessed);
    return selector;
  }
  twoBytes(i) {
    const { guest, operands, transfer } = this;
    const { vcpu, registers } = guest;
    switch (i.opcode) {
      case 3840:
        return this.group6(i);
      case 3841:
        return this.group7(i);
      case 3842:
      case 3843:
        this.loadRights(i);
        return true;
      case 3846:
        this.requirePrivilege();
        this.writeCr0(vcpu.cr0 & ~Cr02.ts);
        return true;
      case 3848:
      case 3849:
        this.requirePrivilege();
        return true;
      case 3872:
        this.requirePrivilege();
        registers.write32(i.rm, this.readControl(i.reg));
        return true;
      case 3873:
        this.requirePrivilege();
        registers.write32(i.rm, vcpu.dr[this.debugRegister(i.reg)]);
        return true;
      case 3874:
        this.requirePrivilege();
        this.writeControl(i.reg, registers.read32(i.rm) | 0);
        return true;
      case 3875: {
        this.requirePrivilege();
        const number = this.debugRegister(i.reg);
        const value = registers.read32(i.rm) | 0;
        vcpu.dr[number] = number === 6 ? value & 57359 | 4294905840 : number === 7 ? value & 4294910975 | 1024 : value;
        return true;
      }
      case 3888:
        this.requirePrivilege();
        this.writeMsr(registers.read32(ECX4), registers.read32(EAX4), registers.read32(EDX3));
        return true;
      case 3890: {
        this.requirePrivilege();
        const [low2, high2] = this.readMsr(registers.read32(ECX4));
        registers.write32(EAX4, low2);
        registers.write32(EDX3, high2);
        return true;
      }
      case 3891:
        throw new GuestFault(generalProtection, 0);
      case 3892:
        this.moved = true;
        transfer.systemEnter();
        return true;
      case 3893:
        this.moved = true;
        transfer.systemExit();
        return true;
      case 4002:
        this.cpuid();
        return true;
      case 4009: {
        const size = i.operandSize16 ? 2 : 4;
        this.loadGs(guest.peekStack(0, size) & 65535);
        registers.esp = registers.esp + size >>> 0;
        return true;
      }
      case 4018:
      case 4021: {
        const size = i.operandSize16 ? 2 : 4;
        const at = operands.operandAddress(size + 2, false);
        const offset = guest.read(at, size);
        const selector = guest.read(at + size >>> 0, 2);
        if (i.opcode === 4018) this.loadStackSegment(selector);
        else this.loadGs(selector);
        registers.write(i.reg, size, offset);
        return true;
      }
      default:
        return false;
    }
  }
  /** SLDT STR LLDT LTR VERR VERW. */
  group6(i) {
    const { guest, operands } = this;
    const { vcpu } = guest;
    switch (i.reg) {
      case 0:
      case 1: {
        const { selector } = i.reg === 0 ? vcpu.ldtr : vcpu.tr;
        if (i.inMemory) operands.writeOperand(2, selector);
        else operands.writeOperand(i.operandSize16 ? 2 : 4, selector);
        return true;
      }
      case 2:
        this.requirePrivilege();
        this.loadLocalTable(operands.readOperand(2));
        return true;
      case 3:
        this.requirePrivilege();
        this.loadTaskRegister(operands.readOperand(2));
        return true;
      case 4:
      case 5: {
        const found = this.visible(operands.readOperand(2), []);
        const code = found !== void 0 && (found[1] & High.code) !== 0;
        const bit2 = found !== void 0 && (found[1] & High.writable) !== 0;
        const allowed = found !== void 0 && (i.reg === 4 ? !code || bit2 : !code && bit2);
        this.setZero(allowed);
        return true;
      }
      default:
        throw new GuestFault(invalidOpcode);
    }
  }
  setZero(set) {
    const { registers } = this.guest;
    registers.eflags = set ? registers.eflags | ZF2 : registers.eflags & ~ZF2;
  }
  /** The descriptor that LAR, LSL, VERR and VERW may see. */
  visible(selector, systemTypes) {
    const { guest } = this;
    if ((selector & ~3) === 0) return void 0;
    const found = guest.descriptors.descriptor(selector);
    if (found === void 0) return void 0;
    const system = (found[1] & High.s) === 0;
    if (system && !systemTypes.includes(found[1] >> 8 & 15)) return void 0;
    const conforming = !system && (found[1] & (High.code | High.conforming)) === (High.code | High.conforming);
    const privilege = privilegeOf(found);
    if (!conforming && (privilege < guest.vcpu.cpl || privilege < (selector & 3))) return void 0;
    return found;
  }
  loadRights(i) {
    const { guest, operands } = this;
    const selector = operands.readOperand(2);
    const found = this.visible(selector, i.opcode === 3842 ? LAR_TYPES2 : LSL_TYPES2);
    this.setZero(found !== void 0);
    if (found === void 0) return;
    const size = i.operandSize16 ? 2 : 4;
    guest.registers.write(i.reg, size, i.opcode === 3842 ? found[1] & 16776960 : descriptorLimit(found));
  }
  loadLocalTable(selector) {
    const { guest } = this;
    const { ldtr } = guest.vcpu;
    if ((selector & ~3) === 0) {
      Object.assign(ldtr, { selector, access: 65536, base: 0, limit: 0 });
    } else {
      if (selector & 4) throw new GuestFault(generalProtection, selector & 65532);
      const found = guest.findDescriptor(selector, generalProtection);
      if ((found[1] & 7936) !== 512) throw new GuestFault(generalProtection, selector & 65532);
      if ((found[1] & High.present) === 0) throw new GuestFault(segmentNotPresent, selector & 65532);
      guest.fillSegment(ldtr, selector, found);
      ldtr.access = accessOf(found);
    }
    const length = ldtr.access & 65536 ? 0 : ldtr.limit + 1;
    guest.descriptors.loadLocal(ldtr.base, length);
    this.surroundings.localTableLoaded(length);
  }
  loadTaskRegister(selector) {
    const { guest } = this;
    if ((selector & ~3) === 0) throw new GuestFault(generalProtection, 0);
    if (selector & 4) throw new GuestFault(generalProtection, selector & 65532);
    const found = guest.findDescriptor(selector, generalProtection);
    const type = found[1] >> 8 & 31;
    if (type === 1) refuse("loads a 16-bit TSS", guest.registers.eip);
    if (type !== 9) throw new GuestFault(generalProtection, selector & 65532);
    if ((found[1] & High.present) === 0) throw new GuestFault(segmentNotPresent, selector & 65532);
    guest.descriptors.setHighBits(selector, 512);
    guest.fillSegment(guest.vcpu.tr, selector, found);
    guest.vcpu.tr.access = accessOf(found) | 2;
  }
  /** SGDT SIDT LGDT LIDT SMSW LMSW INVLPG. */
  group7(i) {
    const { guest, operands, surroundings } = this;
    const { vcpu } = guest;
    if (!i.inMemory && i.reg !== 4 && i.reg !== 6) throw new GuestFault(invalidOpcode);
    switch (i.reg) {
      case 0:
      case 1: {
        const table = i.reg === 0 ? vcpu.gdtr : vcpu.idtr;
        const at = operands.operandAddress(6, true);
        guest.write(at, 2, table.limit);
        guest.write(at + 2 >>> 0, 4, table.base);
        return true;
      }
      case 2:
      case 3: {
        this.requirePrivilege();
        const at = operands.operandAddress(6, false);
        const limit = guest.read(at, 2);
        const wide = guest.read(at + 2 >>> 0, 4);
        const base = i.operandSize16 ? wide & 16777215 : wide;
        Object.assign(i.reg === 2 ? vcpu.gdtr : vcpu.idtr, { base, limit });
        if (i.reg === 2) guest.descriptors.loadGlobal(base, limit);
        return true;
      }
      case 4:
        if (i.inMemory) operands.writeOperand(2, vcpu.cr0 & 65535);
        else operands.writeOperand(i.operandSize16 ? 2 : 4, vcpu.cr0);
        return true;
      case 6: {
        this.requirePrivilege();
        const value = operands.readOperand(2);
        this.writeCr0(vcpu.cr0 & ~14 | value & 15);
        return true;
      }
      case 7:
        this.requirePrivilege();
        surroundings.invalidatePage(guest.segment(i.segment).base + operands.operandOffset() >>> 0);
        return true;
      default:
        throw new GuestFault(invalidOpcode);
    }
  }
  readControl(number) {
    const { vcpu } = this.guest;
    switch (number) {
      case 0:
        return vcpu.cr0;
      case 2:
        return vcpu.cr2;
      case 3:
        return vcpu.cr3;
      case 4:
        return vcpu.cr4;
      default:
        throw new GuestFault(invalidOpcode);
    }
  }
  writeControl(number, value) {
    const { guest } = this;
    const { vcpu } = guest;
    switch (number) {
      case 0:
        this.writeCr0(value);
        return;
      case 2:
        vcpu.cr2 = value >>> 0;
        return;
      case 3:
        vcpu.cr3 = value & 4294963224;
        this.surroundings.controlsChanged(0, 0);
        return;
      case 4: {
        if ((value & ~GUEST_CR4) !== 0) throw new GuestFault(generalProtection, 0);
        const changed = vcpu.cr4 ^ value;
        vcpu.cr4 = value;
        this.surroundings.controlsChanged(0, changed | Cr42.pge);
        return;
      }
      default:
        throw new GuestFault(invalidOpcode);
    }
  }
  writeCr0(value) {
    const { guest } = this;
    const { vcpu } = guest;
    const defined = value & 3758424127;
    const [nw, cd] = [536870912, 1073741824];
    if ((defined & Cr02.pg) !== 0 && (defined & Cr02.pe) === 0) throw new GuestFault(generalProtection, 0);
    if ((defined & nw) !== 0 && (defined & cd) === 0) throw new GuestFault(generalProtection, 0);
    if ((defined & Cr02.pe) === 0) refuse("goes to real-address mode", guest.registers.eip);
    const cr0 = defined | Cr02.et;
    const changed = vcpu.cr0 ^ cr0;
    vcpu.cr0 = cr0;
    if (changed !== 0) this.surroundings.controlsChanged(changed, 0);
  }
  /** DR4 and DR5 are DR6 and DR7 unless CR4.DE is set (SDM Vol. 3B §17.2.2). */
  debugRegister(number) {
    if (number !== 4 && number !== 5) return number;
    if (this.guest.vcpu.cr4 & Cr42.de) throw new GuestFault(invalidOpcode);
    return number + 2;
  }
  cpuid() {
    const { registers } = this.guest;
    const leaf = registers.read32(EAX4);
    this.surroundings.executeCpuid();
    const host = [EAX4, EBX2, ECX4, EDX3].map((register) => registers.read32(register));
    const [eax, ebx, ecx, edx] = guestCpuid(leaf, host);
    registers.write32(EAX4, eax);
    registers.write32(EBX2, ebx);
    registers.write32(ECX4, ecx);
    registers.write32(EDX3, edx);
  }
  readMsr(number) {
    const { vcpu } = this.guest;
    switch (number) {
      case 16: {
        const ticks = this.surroundings.timestamp();
        return [ticks % TWO_32, Math.floor(ticks / TWO_32)];
      }
      case 372:
        return [vcpu.sysenterCs, 0];
      case 373:
        return [vcpu.sysenterEsp, 0];
      case 374:
        return [vcpu.sysenterEip, 0];
      // Platform ID and the microcode's revision; fast strings on in IA32_MISC_ENABLE (SDM Vol. 4 Table 2-2).
      case 23:
      case 139:
        return vcpu.msr.get(number) ?? [0, 0];
      case 416:
        return vcpu.msr.get(number) ?? [1, 0];
      default:
        throw new GuestFault(generalProtection, 0);
    }
  }
  writeMsr(number, low2, high2) {
    const { vcpu } = this.guest;
    switch (number) {
      case 372:
        vcpu.sysenterCs = low2;
        return;
      case 373:
        vcpu.sysenterEsp = low2;
        return;
      case 374:
        vcpu.sysenterEip = low2;
        return;
      case 139:
      case 416:
        vcpu.msr.set(number, [low2, high2]);
        return;
      default:
        throw new GuestFault(generalProtection, 0);
    }
  }
};

// emulator/vmm/guest-code.ts
import { Decoder as Decoder2, DecoderOptions as DecoderOptions2 } from "iced-x86";

// emulator/vmm/translate/instruction-bytes.ts
var InstructionBytes = class {
  constructor(bytes) {
    this.bytes = bytes;
    this.length = bytes.length;
    let at = this.parsePrefixes();
    this.prefixLength = at;
    this.opcode = bytes[at++];
    if (this.opcode === 15) {
      this.opcode = 3840 | bytes[at++];
      if (this.opcode === 3896 || this.opcode === 3898) this.opcode = this.opcode << 8 | bytes[at++];
    }
    this.immediateAt = at;
    if (hasModRm(this.opcode)) {
      this.hasModRm = true;
      this.modRmAt = at;
      this.modRm = bytes[at++];
      this.immediateAt = this.parseMemory(at);
    }
  }
  bytes;
  /** Opcode with its map, see above. */
  opcode = 0;
  /** Bytes before the opcode. */
  prefixLength = 0;
  /** Segment override, or undefined. */
  segmentPrefix;
  operandSize16 = false;
  addressSize16 = false;
  lock = false;
  /** 0xf2, 0xf3 or 0. */
  repeat = 0;
  hasModRm = false;
  modRm = 0;
  /** Offset of the ModRM byte. */
  modRmAt = 0;
  /** Base and index register numbers of the memory operand, -1 when absent. */
  base = -1;
  index = -1;
  scale = 0;
  displacement = 0;
  /** Offset behind ModRM, SIB and displacement: where immediates begin. */
  immediateAt = 0;
  length = 0;
  /** ModRM.mod, .reg and .rm. */
  get mod() {
    return this.modRm >> 6;
  }
  get reg() {
    return this.modRm >> 3 & 7;
  }
  get rm() {
    return this.modRm & 7;
  }
  /** True when ModRM names memory. MOV to and from control and debug registers has no memory form (SDM Vol. 2B). */
  get inMemory() {
    return this.hasModRm && this.mod !== 3 && !(this.opcode >= 3872 && this.opcode <= 3875);
  }
  /** Segment of the ModRM memory operand. */
  get segment() {
    if (this.segmentPrefix !== void 0) return this.segmentPrefix;
    return this.base === 4 || this.base === 5 ? Segment.ss : Segment.ds;
  }
  /** An immediate of `size` bytes at an offset behind immediateAt, sign-extended. */
  immediate(size, skip = 0) {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    const at = this.immediateAt + skip;
    return size === 1 ? view.getInt8(at) : size === 2 ? view.getInt16(at, true) : view.getInt32(at, true);
  }
  parsePrefixes() {
    for (let at = 0; ; at++) {
      switch (this.bytes[at]) {
        case 38:
          this.segmentPrefix = Segment.es;
          break;
        case 46:
          this.segmentPrefix = Segment.cs;
          break;
        case 54:
          this.segmentPrefix = Segment.ss;
          break;
        case 62:
          this.segmentPrefix = Segment.ds;
          break;
        case 100:
          this.segmentPrefix = Segment.fs;
          break;
        case 101:
          this.segmentPrefix = Segment.gs;
          break;
        case 102:
          this.operandSize16 = true;
          break;
        case 103:
          this.addressSize16 = true;
          break;
        case 240:
          this.lock = true;
          break;
        case 242:
        case 243:
          this.repeat = this.bytes[at];
          break;
        default:
          return at;
      }
    }
  }
  parseMemory(start) {
    const { bytes, mod, rm } = this;
    let at = start;
    if (mod === 3) return at;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const has = (count) => at + count <= bytes.length;
    if (this.addressSize16) {
      this.base = BASE_16[rm];
      this.index = INDEX_16[rm];
      let size2 = mod;
      if (mod === 0 && rm === 6) {
        this.base = -1;
        size2 = 2;
      }
      if (size2 > 0 && has(size2)) this.displacement = size2 === 1 ? view.getInt8(at) : view.getInt16(at, true);
      return at + size2;
    }
    this.base = rm;
    let size = mod === 1 ? 1 : mod === 2 ? 4 : 0;
    if (rm === 4) {
      const sib = bytes[at++];
      this.base = sib & 7;
      this.scale = sib >> 6;
      this.index = (sib >> 3 & 7) === 4 ? -1 : sib >> 3 & 7;
    }
    if (mod === 0 && this.base === 5) {
      this.base = -1;
      size = 4;
    }
    if (size > 0 && has(size)) this.displacement = size === 1 ? view.getInt8(at) : view.getInt32(at, true);
    return at + size;
  }
};
var BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
var INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];
function hasModRm(opcode) {
  if (opcode < 64) return (opcode & 7) < 4;
  if (opcode < 256)
    return opcode === 98 || opcode === 99 || opcode === 105 || opcode === 107 || opcode >= 128 && opcode <= 143 || opcode === 192 || opcode === 193 || opcode >= 196 && opcode <= 199 || opcode >= 208 && opcode <= 211 || opcode >= 216 && opcode <= 223 || opcode === 246 || opcode === 247 || opcode >= 254;
  if (opcode >= 997376) return true;
  const second2 = opcode & 255;
  return !(second2 >= 4 && second2 <= 12 && second2 !== 13 || second2 === 14 || second2 >= 48 && second2 <= 63 || second2 === 119 || second2 >= 128 && second2 <= 143 || second2 >= 160 && second2 <= 162 || second2 >= 168 && second2 <= 170 || second2 >= 200 && second2 <= 207);
}

// emulator/vmm/guest-code.ts
var LONGEST_INSTRUCTION = 15;
var IGNORED = Entry.accessed | Entry.dirty;
var NO_DIRECTORY = -1;
var GuestCode = class {
  constructor(vcpu, shadow, physical) {
    this.vcpu = vcpu;
    this.shadow = shadow;
    this.physical = physical;
  }
  vcpu;
  shadow;
  physical;
  cache;
  simulated = /* @__PURE__ */ new Set();
  /** By page-directory index: the entry under which code was translated there. */
  witnesses = /* @__PURE__ */ new Map();
  get shortFlagForms() {
    return this.vcpu.iopl === 0;
  }
  isSimulated(linear) {
    return this.simulated.has(linear);
  }
  /** From now on the instruction is translated in its SIMULATE form. */
  simulate(linear) {
    this.simulated.add(linear);
  }
  /** From now on the instruction is translated as it is again. */
  unsimulate(linear) {
    this.simulated.delete(linear);
  }
  fetch(linear) {
    const { shadow, physical } = this;
    if (linear >>> 0 > this.vcpu.cs.limit) throw new GuestFault(Vector2.generalProtection, 0);
    const result = shadow.fill(linear, this.vcpu.cpl === 3 ? Access2.user : Access2.read);
    if (result === FillResult.fault) throw new GuestFault(Vector2.pageFault, shadow.walk.errorCode, linear >>> 0);
    const address = shadow.walk.physical;
    if (result === FillResult.device) refuse("executes code in device memory", linear);
    if (result === FillResult.reserved && this.vcpu.cpl === 0) {
      shadow.traceTable(shadow.walk.pteAddress);
    }
    const length = 4096 - (address & 4095);
    return { bytes: physical.peek(address, length), physical: address };
  }
  /** The instruction at a linear address, for the current privilege level. @throws {GuestFault} of the fetch */
  instructionAt(linear) {
    const first = this.fetch(linear);
    let bytes = first.bytes.subarray(0, LONGEST_INSTRUCTION);
    let length = decodedLength(bytes);
    if (length === 0 && bytes.length < LONGEST_INSTRUCTION) {
      const rest = this.fetch(linear + bytes.length);
      const joined = new Uint8Array(LONGEST_INSTRUCTION);
      joined.set(bytes);
      joined.set(rest.bytes.subarray(0, LONGEST_INSTRUCTION - bytes.length), bytes.length);
      bytes = joined;
      length = decodedLength(bytes);
    }
    if (length === 0) throw new GuestFault(Vector2.invalidOpcode);
    return { instruction: new InstructionBytes(bytes.slice(0, length)), next: linear + length >>> 0 };
  }
  /** A fragment was made: remembers under which page-directory entries. */
  translated(fragment) {
    for (const linear of [fragment.guestStart, fragment.guestEnd - 1]) {
      const index2 = linear >>> 22;
      if (!this.witnesses.has(index2)) this.witnesses.set(index2, this.directoryEntry(index2));
    }
  }
  directoryEntry(index2) {
    if (!this.shadow.walk.paging) return NO_DIRECTORY;
    const address = (this.vcpu.cr3 & 4294963200 | index2 << 2) >>> 0;
    return this.physical.read32(address) & ~IGNORED;
  }
  /** Another page directory is in use: fragments under entries that differ are dropped. */
  rootChanged() {
    for (const index2 of [...this.witnesses.keys()]) this.directoryEntryChanged(index2);
  }
  /** An entry of the current page directory may have changed. */
  directoryEntryChanged(index2) {
    const witness = this.witnesses.get(index2);
    if (witness === void 0 || witness === this.directoryEntry(index2)) return;
    this.witnesses.delete(index2);
    this.cache.linearRangeChanged(index2 * 4194304, (index2 + 1) * 4194304);
  }
};
function decodedLength(bytes) {
  const decoder = new Decoder2(32, bytes, DecoderOptions2.ForceReservedNop);
  const instruction2 = decoder.decode();
  const length = instruction2.isInvalid ? 0 : instruction2.length;
  instruction2.free();
  decoder.free();
  return length;
}

// emulator/vmm/host-control.ts
var ESP3 = 4;
var EFLAGS_IF = 512;
var IDLE = 4080;
var TSS_BYTES = 104;
var WITH_ERROR_CODE2 = 163072;
function makeDescriptor(base, limit, access) {
  const pages = limit > 1048575;
  const raw = pages ? limit >>> 12 : limit;
  const rights = access & ~32768 | (pages ? 32768 : 0);
  return [
    raw & 65535 | (base & 65535) << 16,
    base >>> 16 & 255 | raw & 983040 | (rights & 61695) << 8 | base & 4278190080
  ];
}
var HostControl = class {
  constructor(host, memory) {
    this.host = host;
    this.memory = memory;
    this.state = host.processor.core.state;
  }
  host;
  memory;
  state;
  frame = { vector: 0, errorCode: 0, eip: 0, cs: 0, eflags: 0, esp: 0, ss: 0 };
  entryStart = VMM_BASE + Area.entryPage;
  /** Takes over the host after power-on. @param rootFrame of the first page directory. */
  start(rootFrame) {
    const { state, host } = this;
    this.buildTables();
    state.i32[State.gdtrBase >> 2] = VMM_BASE + Area.globalDescriptorTable | 0;
    state.i32[State.gdtrLimit >> 2] = 65535;
    state.i32[State.idtrBase >> 2] = VMM_BASE + Area.interruptDescriptorTable | 0;
    state.i32[State.idtrLimit >> 2] = 256 * 8 - 1;
    state.setSegment(Segment.tr, HostSelector.taskState, 139, VMM_BASE + Area.taskState | 0, 0, TSS_BYTES - 1);
    state.setNullSegment(Segment.ldtr, 0);
    state.setSegment(Segment.cs, HostSelector.code, 49307, 0, 0, 4294967295);
    state.setSegment(Segment.ss, HostSelector.stack, 49299, 0, 0, 4294967295);
    state.cpl = 0;
    state.cr4 = 0;
    state.cr0 = Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET;
    this.loadRoot(rootFrame);
    state.updateMode();
    host.engine.setHostEntry(BigInt(this.entryStart), BigInt(this.entryStart + 4096));
    this.startInterruptController();
  }
  buildTables() {
    const { memory } = this;
    memory.fill32(Area.globalDescriptorTable, 65536 / 4, 0);
    this.setDescriptor(HostSelector.vmmData, makeDescriptor(VMM_BASE, VMM_BYTES - 1, 16563));
    this.setDescriptor(HostSelector.translatedCode, makeDescriptor(0, 4294967295, 16571));
    this.setDescriptor(HostSelector.code, makeDescriptor(0, 4294967295, 16539));
    this.setDescriptor(HostSelector.stack, makeDescriptor(0, 4294967295, 16531));
    this.setDescriptor(HostSelector.taskState, makeDescriptor(VMM_BASE + Area.taskState, TSS_BYTES - 1, 139));
    for (let vector2 = 0; vector2 < 256; vector2++) {
      const entry = this.entryStart + vector2 * ENTRY_BYTES;
      const dpl = vector2 === HostVector.callout || vector2 === HostVector.continuation ? 1 : 0;
      const at = Area.interruptDescriptorTable + vector2 * 8;
      memory.write32(at, HostSelector.code << 16 | entry & 65535);
      memory.write32(at + 4, entry & 4294901760 | 36352 | dpl << 13);
    }
    memory.fill32(Area.taskState, TSS_BYTES / 4, 0);
    memory.write32(Area.taskState + 4, VMM_BASE + Area.stackEnd);
    memory.write32(Area.taskState + 8, HostSelector.stack);
    memory.write32(Area.taskState + 100, TSS_BYTES << 16);
  }
  /** The host's 8259A pair: only the line of the VMM is open (8259A data sheet, ICW1 to ICW4, OCW1). */
  startInterruptController() {
    const { ports } = this.host.devices;
    for (const [base, vector2, cascade] of [
      [32, HostVector.interrupts, 4],
      [160, HostVector.interrupts + 8, 2]
    ]) {
      ports.write(base, 1, 17);
      ports.write(base + 1, 1, vector2);
      ports.write(base + 1, 1, cascade);
      ports.write(base + 1, 1, 1);
    }
    ports.write(33, 1, 255 & ~(1 << VMM_INTERRUPT_LINE));
    ports.write(161, 1, 255);
  }
  /** Makes the host take an interrupt as soon as guest code runs, or takes that back. */
  requestInterrupt(asserted) {
    this.host.devices.pic.line(VMM_INTERRUPT_LINE).set(asserted);
  }
  /** Ends the service of the VMM's interrupt. */
  endInterrupt() {
    this.requestInterrupt(false);
    this.host.devices.ports.write(32, 1, 32);
  }
  setDescriptor(selector, [low2, high2]) {
    const at = Area.globalDescriptorTable + (selector & 65528);
    this.memory.write32(at, low2);
    this.memory.write32(at + 4, high2);
  }
  loadRoot(frame) {
    this.state.i32[State.cr3 >> 2] = frame * 4096;
    this.state.i32[(State.cr3 >> 2) + 1] = 0;
    this.host.tlb.flush();
  }
  /** CR0 and CR4 of the host follow what the guest says of x87, SSE and alignment; paging and write protection are always on. */
  followControls(cr0, cr4) {
    const { state } = this;
    const own = Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET;
    state.cr0 = own | cr0 & (Cr02.mp | Cr02.em | Cr02.ts | Cr02.am);
    state.cr4 = cr4 & (Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.DE);
    state.updateMode();
  }
  /** The frame that the host pushed; the next entry reuses the object. */
  readFrame() {
    const { frame, memory, state } = this;
    frame.vector = (state.eip - this.entryStart) / ENTRY_BYTES | 0;
    const withError = frame.vector < 32 && (WITH_ERROR_CODE2 >> frame.vector & 1) !== 0;
    const at = Area.stackEnd - 20;
    frame.errorCode = withError ? memory.read32(at - 4) : 0;
    frame.eip = memory.read32(at) >>> 0;
    frame.cs = memory.read32(at + 4) & 65535;
    frame.eflags = memory.read32(at + 8);
    frame.esp = memory.read32(at + 12) >>> 0;
    frame.ss = memory.read32(at + 16) & 65535;
    return frame;
  }
  /** Leaves the VMM for guest code: an IRET with the frame given. */
  leave(eip, cs, eflags, esp, ss) {
    const { memory, state } = this;
    const at = Area.stackEnd - 20;
    memory.write32(at, eip);
    memory.write32(at + 4, cs);
    memory.write32(at + 8, eflags);
    memory.write32(at + 12, esp);
    memory.write32(at + 16, ss);
    state.setGpr32(ESP3, VMM_BASE + at);
    this.host.processor.helpers.iret(0, 4);
  }
  /** Puts the host where an entry leaves it, when a debugger took it out of guest code. */
  enterRing0() {
    const { state } = this;
    state.setSegment(Segment.cs, HostSelector.code, 49307, 0, 0, 4294967295);
    state.setSegment(Segment.ss, HostSelector.stack, 49299, 0, 0, 4294967295);
    state.cpl = 0;
    state.flagsRest = 0;
    state.updateMode();
    state.setGpr32(ESP3, VMM_BASE + Area.stackEnd);
    state.rip = BigInt(this.entryStart + IDLE);
  }
  /** Halts the host in the VMM, with interrupts on: STI, HLT. The next entry comes from here. */
  idle() {
    const { state } = this;
    state.setGpr32(ESP3, VMM_BASE + Area.stackEnd);
    state.flagsRest = EFLAGS_IF;
    state.rip = BigInt(this.entryStart + IDLE);
    state.i32[Internal.activity >> 2] = Activity.halted;
  }
  /** Loads the VMM's %gs, for translated code. */
  loadVmmGs() {
    this.state.setSegment(Segment.gs, HostSelector.vmmData, 49331, VMM_BASE | 0, 0, VMM_BYTES - 1);
  }
  /** Loads the guest's %gs for user code. @param shadowed the host's table holds its descriptor */
  loadGuestGs(segment, shadowed) {
    const { state } = this;
    if ((segment.selector & ~3) === 0 || segment.access & 65536) {
      state.setNullSegment(Segment.gs, segment.selector);
      return;
    }
    let selector = segment.selector;
    if (!shadowed) {
      selector = HostSelector.cachedGs;
      this.cacheDescriptor(selector, segment);
    }
    this.host.processor.core.segmentation.load(Segment.gs, selector);
  }
  /** Writes a cached descriptor: the hidden part of a segment register, truncated. */
  cacheDescriptor(selector, segment) {
    const guest = makeDescriptor(segment.base, segment.limit, segment.access | 1);
    this.setDescriptor(selector, shadowDescriptor(guest));
  }
  /** Flat data segments, truncated, that no descriptor table of the guest holds yet. */
  loadFlatData(segments, selector) {
    for (const segment of segments) this.state.setSegment(segment, selector, 49331, 0, 0, VMM_BASE - 1);
  }
  loadLocalDescriptorTable(length) {
    if (length === 0) {
      this.setDescriptor(HostSelector.localDescriptorTable, [0, 0]);
      this.state.setNullSegment(Segment.ldtr, 0);
      return;
    }
    const base = VMM_BASE + Area.localDescriptorTable;
    this.setDescriptor(HostSelector.localDescriptorTable, makeDescriptor(base, length - 1, 130));
    this.state.setSegment(Segment.ldtr, HostSelector.localDescriptorTable, 130, base | 0, 0, length - 1);
  }
};

// emulator/vmm/host-frames.ts
var HostFrames = class {
  /** @param first number of the first free frame; @param end exclusive. */
  constructor(first, end) {
    this.first = first;
    this.end = end;
    this.next = first;
  }
  first;
  end;
  next;
  free = [];
  /** Number of a frame. Its content is what the last owner left; fresh frames are zero. @throws {MachineError} when none is left. */
  allocate() {
    const freed = this.free.pop();
    if (freed !== void 0) return freed;
    if (this.next >= this.end)
      throw new MachineError(
        "Host memory is used up by guest pages and shadow tables; start the machine with less guest memory."
      );
    return this.next++;
  }
  release(frame) {
    this.free.push(frame);
  }
  /** A run of frames with consecutive numbers. */
  allocateRun(count) {
    if (this.next + count > this.end) throw new MachineError("Host memory is too small for the VMM's own area.");
    const run = this.next;
    this.next += count;
    return run;
  }
  get used() {
    return this.next - this.first - this.free.length;
  }
};

// emulator/vmm/interrupt-window.ts
var [TF, IF, IOPL] = [1, 2, 48];
var InterruptWindow = class {
  constructor(vcpu, memory) {
    this.vcpu = vcpu;
    this.memory = memory;
  }
  vcpu;
  memory;
  /** The guest's interrupt controller asserts INTR. */
  requested = false;
  /** One more instruction retires before the interrupt is taken (SDM Vol. 3A §6.8.3; Vol. 2B, STI). */
  shadow = false;
  reset() {
    this.requested = false;
    this.shadow = false;
    this.writeTables(false);
  }
  /** An interrupt waits: from now on the guest's STI and POPF come to the VMM. */
  notice() {
    if (!this.requested || this.vcpu.pendingInterrupt) return;
    this.vcpu.pendingInterrupt = true;
    this.writeTables(true);
  }
  /** The request is gone: taken or withdrawn. */
  clearPending() {
    if (!this.vcpu.pendingInterrupt) return;
    this.vcpu.pendingInterrupt = false;
    this.writeTables(false);
  }
  /**
   * The tables that translated POPF indexes with bits 15:8 of the image: nonzero where the VMM has to do it (TF or IOPL set,
   * or IF while an interrupt waits), and what VcpuBlock.interruptAdjust becomes.
   */
  writeTables(pending) {
    for (let image = 0; image < 256; image++) {
      const special = (image & (TF | IOPL)) !== 0 || pending && (image & IF) !== 0;
      this.memory.write32(Area.popfSpecial + image * 4, special ? 1 : 0);
      this.memory.write32(Area.popfInterruptAdjust + image * 4, image & IF ? 0 : INTERRUPTS_OFF);
    }
  }
};

// emulator/vmm/segments/shadow-descriptor-tables.ts
var ShadowedTable = class {
  constructor(area, capacity) {
    this.area = area;
    this.capacity = capacity;
  }
  area;
  capacity;
  base = 0;
  /** Bytes of the guest's table. */
  length = 0;
  /** Guest-physical pages that hold it, in linear order; -1 where none is mapped. */
  pages = [];
  /** False when the table shares its pages with data that is written often: then it has no trace and no lasting shadows. */
  traced = true;
  /** Writes to its pages beside the table. */
  misses = 0;
};
var MISS_LIMIT = 64;
var ShadowDescriptorTables = class {
  constructor(vmm, linear, shadow) {
    this.vmm = vmm;
    this.linear = linear;
    this.shadow = shadow;
  }
  vmm;
  linear;
  shadow;
  global = new ShadowedTable(Area.globalDescriptorTable, FIRST_VMM_DESCRIPTOR);
  local = new ShadowedTable(Area.localDescriptorTable, 65536);
  /** Follows LGDT. */
  loadGlobal(base, limit) {
    this.load(this.global, base, limit + 1);
  }
  /** Follows LLDT; a length of 0 is no table. */
  loadLocal(base, length) {
    this.load(this.local, base, length);
  }
  load(table, base, length) {
    table.base = base >>> 0;
    table.length = Math.min(length, 65536);
    this.vmm.fill32(table.area, table.capacity / 4, 0);
    const old = table.pages;
    table.pages = this.pagesOf(table);
    table.traced = true;
    table.misses = 0;
    for (const page of old) if (!this.holds(page)) this.shadow.traces.clear(page, Trace.descriptors);
    for (const page of table.pages) if (page >= 0) this.shadow.traces.set(page, Trace.descriptors);
    const end = Math.min(table.length, table.capacity);
    for (let offset = 0; offset + 8 <= end; offset += 8) this.synchronize(table, offset);
  }
  holds(page) {
    return this.global.pages.includes(page) || this.local.pages.includes(page);
  }
  pagesOf(table) {
    const pages = [];
    if (table.length === 0) return pages;
    for (let at = table.base & ~4095; at >>> 0 < table.base + table.length; at += 4096) {
      const mapped = this.shadow.walk.walk(at, Access2.read);
      pages.push(mapped ? this.shadow.walk.physical >>> 12 : -1);
      if (at >>> 0 >= 4294963200) break;
    }
    return pages;
  }
  /** Looks again at where the tables lie, after the guest's paging changed. */
  mappingChanged() {
    for (const table of [this.global, this.local]) {
      if (table.length === 0) continue;
      const pages = this.pagesOf(table);
      if (pages.length === table.pages.length && pages.every((page, index2) => page === table.pages[index2])) continue;
      this.load(table, table.base, table.length);
    }
  }
  /** Follows a write to a guest-physical page that holds a descriptor table. */
  written(address, length) {
    const page = address >>> 12;
    for (const table of [this.global, this.local]) {
      table.pages.forEach((held, index2) => {
        if (held !== page) return;
        const start = ((table.base & ~4095) >>> 0) + index2 * 4096 + (address & 4095) - table.base;
        const end = Math.min(start + length, table.length, table.capacity);
        if (!table.traced) return;
        if (end <= 0 || start >= table.length) {
          if (++table.misses > MISS_LIMIT) this.untrace(table);
          return;
        }
        for (let offset = Math.max(0, start & ~7); offset < end; offset += 8)
          if (offset + 8 <= table.length) this.synchronize(table, offset);
      });
    }
  }
  /** Gives up a table's trace: from now on each load of a segment traps and is done by the VMM. */
  untrace(table) {
    table.traced = false;
    this.vmm.fill32(table.area, table.capacity / 4, 0);
    for (const page of table.pages)
      if (page >= 0 && ![this.global, this.local].some((other) => other.traced && other.pages.includes(page)))
        this.shadow.traces.clear(page, Trace.descriptors);
  }
  /** Lets the pages of descriptor tables be written without the VMM. */
  untracePage(page) {
    for (const table of [this.global, this.local]) if (table.pages.includes(page)) this.untrace(table);
  }
  /** True when the table of a selector is traced, so that its shadows may stay. */
  isTraced(selector) {
    return (selector & 4 ? this.local : this.global).traced;
  }
  /** Makes the shadow of a selector's descriptor, as the guest's table has it now. */
  refresh(selector) {
    const table = selector & 4 ? this.local : this.global;
    const offset = selector & 65528;
    if (offset + 8 <= Math.min(table.length, table.capacity)) this.synchronize(table, offset);
  }
  /** Takes the shadow of a selector's descriptor away again, when its table is not traced. */
  drop(selector) {
    const table = selector & 4 ? this.local : this.global;
    const offset = selector & 65528;
    if (table.traced || offset + 8 > table.capacity) return;
    this.vmm.write32(table.area + offset, 0);
    this.vmm.write32(table.area + offset + 4, 0);
  }
  synchronize(table, offset) {
    const [low2, high2] = shadowDescriptor(this.readQuietly(table, offset));
    this.vmm.write32(table.area + offset, low2);
    this.vmm.write32(table.area + offset + 4, high2);
  }
  readQuietly(table, offset) {
    try {
      return this.readAt(table, offset);
    } catch (fault) {
      if (!(fault instanceof GuestFault)) throw fault;
      return NO_DESCRIPTOR;
    }
  }
  readAt(table, offset) {
    const at = table.base + offset;
    return [this.linear.read(at >>> 0, 4, false) | 0, this.linear.read(at + 4 >>> 0, 4, false) | 0];
  }
  /** The guest's descriptor of a selector; undefined beyond its table's limit. @throws {GuestFault} #PF */
  descriptor(selector) {
    const table = selector & 4 ? this.local : this.global;
    const offset = selector & 65528;
    if (offset + 8 > table.length) return void 0;
    return this.readAt(table, offset);
  }
  /** Sets bits in the second dword of a guest descriptor: accessed or busy. */
  setHighBits(selector, set, clear = 0) {
    const table = selector & 4 ? this.local : this.global;
    const at = table.base + (selector & 65528) + 4 >>> 0;
    const old = this.linear.read(at, 4, false) | 0;
    const changed = (old | set) & ~clear;
    if (changed !== old) this.linear.write(at, 4, changed, false);
    if (table.traced && (selector & 65528) + 8 <= table.capacity) this.synchronize(table, selector & 65528);
  }
  /** True when the host's table has a descriptor for the selector that can be loaded. */
  isShadowed(selector) {
    const table = selector & 4 ? this.local : this.global;
    const offset = selector & 65528;
    return offset + 8 <= Math.min(table.length, table.capacity) && this.vmm.read32(table.area + offset + 4) !== 0;
  }
};

// emulator/vmm/translate/code-buffer.ts
var Register32 = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };
var GS_PREFIX = 101;
var CodeBuffer = class {
  /** @param origin linear address of the first byte. */
  constructor(origin) {
    this.origin = origin;
  }
  origin;
  bytes = new Uint8Array(256);
  used = 0;
  /** Linear address of the next byte. */
  get here() {
    return this.origin + this.used;
  }
  get length() {
    return this.used;
  }
  take() {
    return this.bytes.slice(0, this.used);
  }
  emit(...bytes) {
    for (const byte of bytes) this.byte(byte);
  }
  byte(value) {
    if (this.used === this.bytes.length) {
      const larger = new Uint8Array(this.used * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes[this.used++] = value;
  }
  verbatim(bytes) {
    for (const byte of bytes) this.byte(byte);
  }
  dword(value) {
    this.emit(value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24 & 255);
  }
  /** mov %register, %gs:offset */
  storeBlock(offset, register) {
    this.emit(GS_PREFIX, 137, 5 | register << 3);
    this.dword(offset);
  }
  /** mov %gs:offset, %register */
  loadBlock(register, offset) {
    this.emit(GS_PREFIX, 139, 5 | register << 3);
    this.dword(offset);
  }
  /** movl $value, %gs:offset */
  storeBlockImmediate(offset, value) {
    this.emit(GS_PREFIX, 199, 5);
    this.dword(offset);
    this.dword(value);
  }
  /** mov %gs:offset(,%index,4), %register */
  loadBlockIndexed(register, offset, index2) {
    this.emit(GS_PREFIX, 139, 4 | register << 3, 133 | index2 << 3);
    this.dword(offset);
  }
  /** jmp *%gs:offset(,%index,4) */
  jumpBlockIndexed(offset, index2) {
    this.emit(GS_PREFIX, 255, 36, 133 | index2 << 3);
    this.dword(offset);
  }
  /** jmp target; the displacement is the last 4 bytes. */
  jump(target) {
    this.emit(233);
    this.dword(target - (this.here + 4));
  }
  /** jcc target (condition 0..15); the displacement is the last 4 bytes. */
  jumpIf(condition3, target) {
    this.emit(15, 128 | condition3);
    this.dword(target - (this.here + 4));
  }
  /** jecxz over the next `distance` bytes. */
  jumpIfEcxZero(distance) {
    this.emit(227, distance);
  }
  pushImmediate(value) {
    this.emit(104);
    this.dword(value);
  }
  interrupt(vector2) {
    this.emit(205, vector2);
  }
};

// emulator/vmm/translate/fragment-hash-table.ts
var FREE = 0;
var REMOVED = 1;
var FragmentHashTable = class {
  constructor(memory) {
    this.memory = memory;
  }
  memory;
  size = HASH_BUCKETS;
  used = 0;
  bucket(guest) {
    return Math.imul(guest, 2654435761) >>> 17 & HASH_BUCKETS - 1;
  }
  offset(bucket) {
    return Area.hashTable + bucket * 8;
  }
  /** Linear address of the fragment of a guest address; 0 when there is none. */
  find(guest) {
    for (let bucket = this.bucket(guest), tries = 0; tries < HASH_BUCKETS; tries++) {
      const fragment = this.memory.read32(this.offset(bucket) + 4);
      if (fragment === FREE) return 0;
      if (fragment !== REMOVED && this.memory.read32(this.offset(bucket)) === (guest | 0)) return fragment >>> 0;
      bucket = bucket + 1 & HASH_BUCKETS - 1;
    }
    return 0;
  }
  /** Enters a guest address that the table does not hold; false when the table is too full to stay quick. */
  insert(guest, fragment) {
    if (this.used >= HASH_BUCKETS * 3 / 4) return false;
    for (let bucket = this.bucket(guest); ; bucket = bucket + 1 & HASH_BUCKETS - 1) {
      const old = this.memory.read32(this.offset(bucket) + 4);
      if (old !== FREE && old !== REMOVED) continue;
      if (old === FREE) this.used++;
      this.memory.write32(this.offset(bucket), guest);
      this.memory.write32(this.offset(bucket) + 4, fragment);
      return true;
    }
  }
  remove(guest) {
    for (let bucket = this.bucket(guest), tries = 0; tries < HASH_BUCKETS; tries++) {
      const fragment = this.memory.read32(this.offset(bucket) + 4);
      if (fragment === FREE) return;
      if (fragment !== REMOVED && this.memory.read32(this.offset(bucket)) === (guest | 0)) {
        this.memory.write32(this.offset(bucket) + 4, REMOVED);
        return;
      }
      bucket = bucket + 1 & HASH_BUCKETS - 1;
    }
  }
  clear() {
    this.memory.fill32(Area.hashTable, HASH_BUCKETS * 2, FREE);
    this.used = 0;
  }
  /** Buckets in use, read from host memory. */
  *entries() {
    for (let index2 = 0; index2 < HASH_BUCKETS; index2++) {
      const fragment = this.memory.read32(this.offset(index2) + 4);
      if (fragment === FREE || fragment === REMOVED) continue;
      yield { index: index2, guest: this.memory.read32(this.offset(index2)) >>> 0, fragment: fragment >>> 0 };
    }
  }
};

// emulator/vmm/translate/translator.ts
import { Decoder as Decoder3, DecoderOptions as DecoderOptions3 } from "iced-x86";

// emulator/vmm/translate/instruction-class.ts
var ONE_BYTE = /* @__PURE__ */ new Map([
  [14, "push-selector"],
  [22, "push-selector"],
  [23, "callout"],
  [108, "callout"],
  [109, "callout"],
  [110, "callout"],
  [111, "callout"],
  [154, "callout-end"],
  [156, "pushf"],
  [157, "popf"],
  [194, "ret"],
  [195, "ret"],
  [202, "callout-end"],
  [203, "callout-end"],
  [204, "callout-end"],
  [205, "callout-end"],
  [206, "callout-end"],
  [207, "callout-end"],
  [224, "loop"],
  [225, "loop"],
  [226, "loop"],
  [227, "loop"],
  [228, "callout"],
  [229, "callout"],
  [230, "callout"],
  [231, "callout"],
  [232, "call"],
  [233, "jmp"],
  [234, "callout-end"],
  [235, "jmp"],
  [236, "callout"],
  [237, "callout"],
  [238, "callout"],
  [239, "callout"],
  [241, "callout-end"],
  [244, "callout-end"],
  [250, "cli"],
  [251, "sti"],
  [3840, "callout"],
  [3841, "callout"],
  [3842, "callout"],
  [3843, "callout"],
  [3845, "trap"],
  [3846, "callout"],
  [3847, "trap"],
  [3848, "callout"],
  [3849, "callout"],
  [3851, "trap"],
  [3872, "callout"],
  [3873, "callout"],
  [3874, "callout-end"],
  [3875, "callout"],
  [3888, "callout"],
  [3890, "callout"],
  [3891, "callout"],
  [3892, "callout-end"],
  [3893, "callout-end"],
  [4002, "callout"],
  [4008, "push-selector"],
  [4009, "callout"],
  [4010, "trap"],
  [4018, "callout"],
  [4021, "callout"],
  [4025, "trap"],
  [4095, "trap"]
]);
function addressesImplicitly(opcode) {
  return opcode >= 160 && opcode <= 167 || opcode === 172 || opcode === 173 || opcode === 215;
}
function addressOnly(opcode) {
  return opcode === 141 || opcode >= 3864 && opcode <= 3871;
}
function classify(instruction2) {
  const { opcode, reg, mod, segmentPrefix } = instruction2;
  if (opcode >= 112 && opcode <= 127 || opcode >= 3968 && opcode <= 3983) return "jcc";
  const named = ONE_BYTE.get(opcode);
  if (named === "pushf" || named === "popf" || named === "push-selector")
    return instruction2.operandSize16 ? "callout" : named;
  if (named !== void 0) return named;
  if (opcode === 142 && (reg === Segment.ss || reg === Segment.gs)) return "callout";
  if (opcode === 140 && (reg === Segment.cs || reg === Segment.ss || reg === Segment.gs))
    return mod === 3 ? "move-selector" : "callout";
  if (opcode === 255) {
    if (reg === 2) return override(segmentPrefix) && mod !== 3 ? "callout-end" : "call-indirect";
    if (reg === 4) return override(segmentPrefix) && mod !== 3 ? "callout-end" : "jmp-indirect";
    if (reg === 3 || reg === 5) return "callout-end";
  }
  if (override(segmentPrefix) && !addressOnly(opcode) && (instruction2.inMemory || addressesImplicitly(opcode)))
    return "simulate";
  return "ident";
}
function override(segment) {
  return segment === Segment.gs || segment === Segment.cs;
}

// emulator/vmm/translate/translator.ts
var UNIT_LIMIT = 12;
var SHORTEST_FRAGMENT = 5;
function translateUnit(source, guest, origin, id, generation) {
  return new UnitTranslator(source, guest, origin, id, generation).translate();
}
var UnitTranslator = class {
  constructor(source, guest, origin, id, generation) {
    this.source = source;
    this.guest = guest;
    this.code = new CodeBuffer(origin);
    this.fragment = new Fragment(id, guest, origin, generation);
  }
  source;
  guest;
  code;
  fragment;
  sites = [];
  /** The instruction before holds interrupts off for one instruction. */
  shadowed = false;
  translate() {
    const { fragment, code } = this;
    const page = this.source.fetch(this.guest);
    const decoder = new Decoder3(32, page.bytes, DecoderOptions3.ForceReservedNop);
    decoder.ip = BigInt(this.guest);
    let end = this.guest;
    let ended = false;
    for (let count = 0; count < UNIT_LIMIT && !ended; count++) {
      const decoded = this.decode(decoder, page, end, count === 0);
      if (decoded === void 0) break;
      end = decoded.next;
      ended = this.instruction(decoded);
    }
    decoder.free();
    this.recordPage(page.physical, Math.min(end - this.guest, page.bytes.length));
    fragment.guestEnd = end;
    if (!ended) {
      this.recover(end, { glue: true, boundary: true });
      this.exit("fallthrough", end);
    }
    while (code.length < SHORTEST_FRAGMENT) code.emit(204);
    fragment.translatedEnd = code.here;
    return { fragment, code: code.take(), sites: this.sites };
  }
  recordPage(physical, length) {
    this.fragment.pages.push([physical >>> 12, physical & 4095, (physical & 4095) + length]);
  }
  /** The next instruction; undefined when it lies (in part) on the next page and is not the unit's first. */
  decode(decoder, page, at, first) {
    const offset = at - this.guest;
    if (offset >= page.bytes.length) return void 0;
    const decoded = decoder.decode();
    let { length } = decoded;
    let invalid2 = decoded.isInvalid;
    const ranOut = invalid2 && decoder.lastError === 2;
    let target = decoded.isInvalid ? 0 : branchTarget(decoded.nearBranchTarget);
    decoded.free();
    let bytes = page.bytes.slice(offset, offset + length);
    if (ranOut) {
      if (!first) return void 0;
      const rest = this.source.fetch(at + page.bytes.length);
      const joined = new Uint8Array(page.bytes.length + 15);
      joined.set(page.bytes);
      joined.set(rest.bytes.subarray(0, 15), page.bytes.length);
      const crossing = new Decoder3(32, joined, DecoderOptions3.ForceReservedNop);
      crossing.ip = BigInt(at);
      const whole = crossing.decode();
      length = whole.length;
      invalid2 = whole.isInvalid;
      target = invalid2 ? 0 : branchTarget(whole.nearBranchTarget);
      whole.free();
      crossing.free();
      bytes = joined.slice(0, length);
      this.recordPage(rest.physical, length - page.bytes.length);
    }
    const instruction2 = new InstructionBytes(invalid2 ? UNDEFINED : bytes);
    return { instruction: instruction2, guest: at, next: at + length >>> 0, target };
  }
  /** Translates one instruction; true when the unit ends with it. */
  instruction(decoded) {
    const { guest, instruction: instruction2 } = decoded;
    let kind = classify(instruction2);
    if ((kind === "pushf" || kind === "popf") && !this.source.shortFlagForms) kind = "callout";
    if (kind === "ident" && this.source.isSimulated(guest)) kind = "simulate";
    const offset = this.code.length;
    this.recover(guest, { boundary: true, shadowed: this.shadowed });
    this.shadowed = false;
    const tag2 = this.emit(kind, decoded);
    const ended = ENDS_UNIT.has(kind);
    this.fragment.lines.push({
      guest,
      guestBytes: instruction2.bytes,
      offset,
      length: this.code.length - offset,
      tag: tag2,
      instruction: instruction2
    });
    return ended;
  }
  emit(kind, decoded) {
    const { code } = this;
    const { instruction: instruction2, guest, next, target } = decoded;
    switch (kind) {
      case "ident":
      case "trap":
        code.verbatim(instruction2.bytes);
        return "IDENT";
      case "jcc": {
        this.exit("taken", target, instruction2.opcode & 15);
        this.recover(next, { glue: true, boundary: true });
        this.exit("fallthrough", next);
        return "JCC";
      }
      case "loop": {
        if (instruction2.addressSize16) code.emit(103);
        code.emit(instruction2.opcode, 5);
        this.recover(next, { glue: true, boundary: true });
        this.exit("fallthrough", next);
        this.recover(target, { glue: true, boundary: true });
        this.exit("taken", target);
        return "PCREL";
      }
      case "jmp":
        this.exit("taken", target);
        return "JMP";
      case "call":
        code.pushImmediate(next);
        this.recover(target, { glue: true, boundary: true });
        this.exit("taken", target);
        return "CALL";
      case "ret":
        this.ret(decoded);
        return "RET";
      case "jmp-indirect":
      case "call-indirect":
        this.indirect(decoded, kind === "call-indirect");
        return "INDIRECT";
      case "cli":
        code.storeBlockImmediate(VcpuBlock.interruptAdjust, INTERRUPTS_OFF);
        return "PRIV";
      case "sti":
        this.sti(decoded);
        return "PRIV";
      case "pushf":
        this.pushf(guest);
        return "PRIV";
      case "popf":
        this.popf(decoded);
        return "PRIV";
      case "push-selector":
        code.emit(101, 255, 53);
        code.dword(selectorField(pushedSegment(instruction2.opcode)));
        return "PRIV";
      case "move-selector":
        if (instruction2.operandSize16) code.emit(102);
        code.emit(101, 139, 5 | instruction2.rm << 3);
        code.dword(selectorField(instruction2.reg));
        return "PRIV";
      case "simulate":
        this.callout("callout", decoded);
        return "SIMULATE";
      case "callout":
      case "callout-end":
        this.callout(kind, decoded);
        if (holdsInterrupts(instruction2)) this.shadowed = true;
        return "CALLOUT";
    }
  }
  /** A jump to a translation of `target`, at first to a continuation. */
  exit(kind, target, condition3 = -1) {
    const { code, fragment } = this;
    const stub = this.source.allocateContinuation();
    const jump = code.here;
    if (condition3 >= 0) code.jumpIf(condition3, stub);
    else code.jump(stub);
    const exit = { kind, target, jump, jumpLength: code.here - jump, state: "continuation", fragment: -1 };
    fragment.exits.push(exit);
    fragment.sites.push(stub);
    this.sites.push({
      address: stub,
      site: { kind: "continuation", guest: target, next: target, instruction: void 0, exit, fragment }
    });
  }
  callout(kind, { guest, next, instruction: instruction2 }) {
    const { code, fragment } = this;
    fragment.sites.push(code.here);
    this.sites.push({
      address: code.here,
      site: { kind, guest, next, instruction: instruction2, exit: void 0, fragment }
    });
    code.interrupt(HostVector.callout);
  }
  /** RET, RET imm16: the return address goes through the table that is indexed by its low 16 bits. */
  ret(decoded) {
    const { code } = this;
    const { guest, instruction: instruction2 } = decoded;
    if (instruction2.operandSize16) {
      this.callout("callout-end", decoded);
      return;
    }
    const release = instruction2.opcode === 194 ? instruction2.immediate(2) & 65535 : 0;
    code.storeBlock(VcpuBlock.savedEcx, Register32.ecx);
    code.emit(89);
    this.recover(guest, { undo: Undo.ecx, stackAdjust: -4 });
    if (release > 0) {
      code.emit(141, 164, 36);
      code.dword(release);
      this.recover(guest, { undo: Undo.ecx, stackAdjust: -4 - release });
    }
    code.storeBlock(VcpuBlock.target, Register32.ecx);
    this.lookup();
  }
  /** JMP and CALL through a register or memory. */
  indirect(decoded, call) {
    const { code } = this;
    const { guest, instruction: instruction2, next } = decoded;
    if (instruction2.operandSize16) {
      this.callout("callout-end", decoded);
      return;
    }
    code.storeBlock(VcpuBlock.savedEcx, Register32.ecx);
    code.verbatim(instruction2.bytes.subarray(0, instruction2.prefixLength));
    code.emit(139, instruction2.modRm & 199 | Register32.ecx << 3);
    code.verbatim(instruction2.bytes.subarray(instruction2.modRmAt + 1));
    this.recover(guest, { undo: Undo.ecx });
    code.storeBlock(VcpuBlock.target, Register32.ecx);
    if (call) {
      code.pushImmediate(next);
      this.recover(guest, { undo: Undo.ecx | Undo.target });
    }
    this.lookup();
  }
  /** movzx %cx, %ecx; jmp *%gs:returnTable(,%ecx,4): the target is in VcpuBlock.target, %ecx in savedEcx. */
  lookup() {
    const { code } = this;
    this.recover(0, { undo: Undo.ecx | Undo.target, glue: true });
    const jump = code.here;
    code.emit(15, 183, 201);
    code.jumpBlockIndexed(Area.returnTable, Register32.ecx);
    this.fragment.exits.push({ kind: "indirect", target: -1, jump, jumpLength: 0, state: "lookup", fragment: -1 });
  }
  /** STI: nothing but a store, unless a virtual interrupt waits. */
  sti(decoded) {
    const { code } = this;
    const { guest } = decoded;
    code.storeBlock(VcpuBlock.savedEcx, Register32.ecx);
    code.loadBlock(Register32.ecx, VcpuBlock.pendingInterrupt);
    this.recover(guest, { undo: Undo.ecx });
    code.jumpIfEcxZero(2);
    this.callout("sti", decoded);
    code.loadBlock(Register32.ecx, VcpuBlock.savedEcx);
    this.recover(guest, {});
    code.storeBlockImmediate(VcpuBlock.interruptAdjust, 0);
    this.shadowed = true;
  }
  /** PUSHF: the real image has IF = 1 and IOPL = 0; interruptAdjust makes the guest's IF of it. */
  pushf(guest) {
    const { code } = this;
    const { eax, ecx } = Register32;
    code.emit(156);
    this.recover(guest, { stackAdjust: 4 });
    code.storeBlock(VcpuBlock.savedEcx, ecx);
    code.storeBlock(VcpuBlock.savedEax, eax);
    code.emit(139, 12, 36);
    this.recover(guest, { undo: Undo.ecx, stackAdjust: 4 });
    code.loadBlock(eax, VcpuBlock.interruptAdjust);
    this.recover(guest, { undo: Undo.ecx | Undo.eax, stackAdjust: 4 });
    code.emit(141, 12, 1);
    code.emit(137, 12, 36);
    code.loadBlock(ecx, VcpuBlock.savedEcx);
    code.loadBlock(eax, VcpuBlock.savedEax);
  }
  /** POPF: tables say by bits 15:8 of the image whether the VMM has to do it and what IF becomes; the rest is the real POPF. */
  popf(decoded) {
    const { code } = this;
    const { guest } = decoded;
    const { ecx } = Register32;
    code.storeBlock(VcpuBlock.savedEcx, ecx);
    code.emit(15, 182, 76, 36, 1);
    this.recover(guest, { undo: Undo.ecx });
    code.loadBlockIndexed(ecx, Area.popfSpecial, ecx);
    code.jumpIfEcxZero(9);
    code.loadBlock(ecx, VcpuBlock.savedEcx);
    this.callout("popf", decoded);
    code.emit(15, 182, 76, 36, 1);
    code.loadBlockIndexed(ecx, Area.popfInterruptAdjust, ecx);
    code.emit(157);
    this.recover(guest, { undo: Undo.finishPopf });
    code.storeBlock(VcpuBlock.interruptAdjust, ecx);
    code.loadBlock(ecx, VcpuBlock.savedEcx);
  }
  recover(guest, what) {
    this.fragment.recovery.push({
      offset: this.code.length,
      guest: guest >>> 0,
      undo: what.undo ?? 0,
      stackAdjust: what.stackAdjust ?? 0,
      boundary: what.boundary ?? false,
      glue: what.glue ?? false,
      shadowed: what.shadowed ?? false
    });
  }
};
var UNDEFINED = new Uint8Array([15, 11]);
var ENDS_UNIT = /* @__PURE__ */ new Set([
  "jcc",
  "loop",
  "jmp",
  "call",
  "ret",
  "jmp-indirect",
  "call-indirect",
  "callout-end",
  "trap"
]);
function branchTarget(target) {
  return Number(BigInt.asUintN(32, target));
}
function pushedSegment(opcode) {
  return opcode === 14 ? Segment.cs : opcode === 22 ? Segment.ss : Segment.gs;
}
function selectorField(segment) {
  return segment === Segment.cs ? VcpuBlock.guestCs : segment === Segment.ss ? VcpuBlock.guestSs : VcpuBlock.guestGs;
}
function holdsInterrupts({ opcode, reg }) {
  return opcode === 23 || opcode === 142 && reg === Segment.ss;
}

// emulator/vmm/translate/translation-cache.ts
var LONGEST_FRAGMENT = 4096;
var RETURN_ENTRIES = 65536;
var FIRST_FRAGMENT = VMM_BASE + Area.translationCache;
var COMMON_MISS = VMM_BASE + Area.launches;
var TranslationCache = class {
  constructor(memory, source, observer) {
    this.memory = memory;
    this.source = source;
    this.observer = observer;
    this.hashTable = new FragmentHashTable(memory);
    this.clear();
  }
  memory;
  source;
  observer;
  start = FIRST_FRAGMENT;
  end = VMM_BASE + Area.translationCacheEnd;
  hashTable;
  /** Units translated, fragments invalidated, flushes, since power-on. */
  translationUnits = 0;
  invalidated = 0;
  flushes = 0;
  next = FIRST_FRAGMENT;
  nextLaunch = COMMON_MISS + LAUNCH_BYTES;
  nextContinuation = VMM_BASE + Area.continuations;
  freeContinuations = [];
  nextId = 1;
  /** In the order of their addresses. */
  ordered = [];
  byId = /* @__PURE__ */ new Map();
  byStart = /* @__PURE__ */ new Map();
  byLaunch = /* @__PURE__ */ new Map();
  byPage = /* @__PURE__ */ new Map();
  generations = /* @__PURE__ */ new Map();
  sites = /* @__PURE__ */ new Map();
  clear() {
    this.hashTable.clear();
    this.memory.fill32(Area.returnTable, RETURN_ENTRIES, COMMON_MISS);
    const miss = new CodeBuffer(COMMON_MISS);
    miss.interrupt(HostVector.callout);
    this.memory.storeCode(COMMON_MISS, miss.take());
  }
  /** Drops every fragment. */
  flush() {
    this.flushes++;
    for (const page of this.byPage.keys()) this.observer.codePageRemoved(page);
    for (const fragment of this.ordered) fragment.valid = false;
    this.ordered.length = 0;
    this.byId.clear();
    this.byStart.clear();
    this.byLaunch.clear();
    this.byPage.clear();
    this.sites.clear();
    this.freeContinuations.length = 0;
    this.next = FIRST_FRAGMENT;
    this.nextLaunch = COMMON_MISS + LAUNCH_BYTES;
    this.nextContinuation = VMM_BASE + Area.continuations;
    this.clear();
  }
  /** Forgets all indirect targets, so that each goes through the VMM once more. */
  forgetIndirectTargets() {
    this.memory.fill32(Area.returnTable, RETURN_ENTRIES, COMMON_MISS);
  }
  /** The valid fragment that starts at a guest-linear address. */
  find(guest) {
    const start = this.hashTable.find(guest);
    return start === 0 ? void 0 : this.byStart.get(start);
  }
  /** The same, translated when there is none. @throws {GuestFault} of the fetch */
  findOrTranslate(guest) {
    return this.find(guest) ?? this.translate(guest, -1);
  }
  /** @param origin where to put it if it fits into that page, -1 for behind the last fragment. */
  translate(guest, origin) {
    const full = this.next + LONGEST_FRAGMENT > VMM_BASE + Area.launches || this.nextContinuation + 64 * CONTINUATION_BYTES > this.end || this.hashTable.used >= this.hashTable.size * 0.7;
    if (full) {
      this.flush();
      origin = -1;
    }
    let at = origin >= 0 ? origin : this.next;
    const generation = this.generations.get(guest) ?? 0;
    const { source } = this;
    const allocated = [];
    const allocateContinuation = () => {
      const slot = this.freeContinuations.pop() ?? this.nextContinuation;
      if (slot === this.nextContinuation) this.nextContinuation += CONTINUATION_BYTES;
      allocated.push(slot);
      return slot;
    };
    const make = (place2) => translateUnit(
      {
        fetch: (linear) => source.fetch(linear),
        isSimulated: (linear) => source.isSimulated(linear),
        shortFlagForms: source.shortFlagForms,
        allocateContinuation
      },
      guest,
      place2,
      this.nextId,
      generation
    );
    let translation2;
    try {
      translation2 = make(at);
      if (at >>> 12 !== translation2.fragment.translatedEnd - 1 >>> 12) {
        this.freeContinuations.push(...allocated);
        allocated.length = 0;
        at = (at & ~4095) + 4096 >>> 0;
        translation2 = make(at);
      }
    } catch (fault) {
      this.freeContinuations.push(...allocated);
      throw fault;
    }
    const { fragment, code, sites } = translation2;
    this.nextId++;
    this.translationUnits++;
    this.generations.set(guest, generation + 1);
    this.memory.storeCode(at, code);
    this.next = fragment.translatedEnd;
    for (const slot of allocated) this.memory.storeCode(slot, CONTINUATION);
    for (const { address, site } of sites) this.sites.set(address, site);
    this.ordered.push(fragment);
    this.byId.set(fragment.id, fragment);
    this.byStart.set(at, fragment);
    this.hashTable.insert(guest, at);
    for (const [page] of fragment.pages) {
      const list = this.byPage.get(page);
      if (list) list.push(fragment);
      else {
        this.byPage.set(page, [fragment]);
        this.observer.codePageAdded(page);
      }
    }
    this.observer.translated(fragment);
    return fragment;
  }
  /** The callout site of an INT at a linear address; undefined for the common miss. */
  site(address) {
    return this.sites.get(address);
  }
  /**
   * The continuation at `address` was reached: finds or translates its target and replaces it, by a chaining jump or by falling through.
   * @throws {GuestFault} of the fetch
   */
  resolve(address, site) {
    const { exit, fragment: source, next: target } = site;
    const { flushes } = this;
    const known = this.find(target);
    if (exit === void 0) {
      const fragment2 = known ?? this.translate(target, -1);
      if (this.flushes === flushes) this.forward(source, fragment2);
      return fragment2;
    }
    let fragment;
    const behind = exit.jump + exit.jumpLength === this.next && this.ordered.at(-1) === source && source.valid;
    if (known) {
      fragment = known;
      exit.state = "chained";
    } else if (behind && exit.jumpLength === 5 && exit.jump - source.translatedStart >= 5) {
      fragment = this.translate(target, exit.jump);
      exit.state = fragment.translatedStart === exit.jump ? "elided" : "linked";
      if (this.flushes === flushes && exit.state === "elided") source.translatedEnd = exit.jump;
    } else {
      fragment = this.translate(target, -1);
      exit.state = "linked";
    }
    exit.fragment = fragment.id;
    if (this.flushes !== flushes) return fragment;
    if (exit.state !== "elided") this.patchJump(exit, fragment.translatedStart);
    this.sites.delete(address);
    this.freeContinuations.push(address);
    const list = source.sites;
    list.splice(list.indexOf(address), 1);
    return fragment;
  }
  patchJump(exit, target) {
    const end = exit.jump + exit.jumpLength;
    const displacement = new Uint8Array(4);
    new DataView(displacement.buffer).setInt32(0, target - end, true);
    this.memory.storeCode(end - 4, displacement);
  }
  /** Enters an indirect target into the table; from now on the fragment is reached without the VMM. */
  launch(fragment) {
    if (fragment.launch === 0) {
      if (this.nextLaunch + LAUNCH_BYTES > VMM_BASE + Area.continuations) return;
      const at = this.nextLaunch;
      this.nextLaunch += LAUNCH_BYTES;
      const code = new CodeBuffer(at);
      code.loadBlock(Register32.ecx, VcpuBlock.target);
      code.emit(141, 137);
      code.dword(-fragment.guestStart);
      code.jumpIfEcxZero(2);
      code.interrupt(HostVector.callout);
      code.loadBlock(Register32.ecx, VcpuBlock.savedEcx);
      code.jump(fragment.translatedStart);
      this.memory.storeCode(at, code.take());
      fragment.launch = at;
      this.byLaunch.set(at, fragment);
    }
    this.memory.write32(Area.returnTable + (fragment.guestStart & 65535) * 4, fragment.launch);
  }
  /** Drops the fragments whose guest bytes overlap a guest-physical range. */
  bytesChanged(page, from, to) {
    const list = this.byPage.get(page);
    if (list === void 0) return;
    for (const fragment of [...list])
      if (fragment.pages.some((part) => part[0] === page && part[1] < to && part[2] > from)) this.invalidate(fragment);
  }
  /** Drops the fragments whose guest code lies in a guest-linear range. */
  linearRangeChanged(start, end) {
    for (const fragment of [...this.byStart.values()])
      if (fragment.valid && fragment.guestStart < end && fragment.guestEnd > start) this.invalidate(fragment);
  }
  hasCode(page) {
    return this.byPage.has(page);
  }
  /** Takes a fragment out of use: whoever still jumps to it comes to the VMM. */
  invalidate(fragment) {
    if (!fragment.valid) return;
    fragment.valid = false;
    this.invalidated++;
    this.hashTable.remove(fragment.guestStart);
    for (const [page] of fragment.pages) {
      const list = this.byPage.get(page);
      const at = list?.indexOf(fragment) ?? -1;
      if (!list || at < 0) continue;
      list.splice(at, 1);
      if (list.length === 0) {
        this.byPage.delete(page);
        this.observer.codePageRemoved(page);
      }
    }
    for (const address of fragment.sites) {
      this.sites.delete(address);
      if (address >= VMM_BASE + Area.continuations) this.freeContinuations.push(address);
    }
    fragment.sites.length = 0;
    const { translatedStart: start, guestStart: guest } = fragment;
    this.memory.storeCode(start, ENTRY_CALLOUT);
    this.sites.set(start, {
      kind: "invalidated",
      guest,
      next: guest,
      instruction: void 0,
      exit: void 0,
      fragment
    });
    fragment.sites.push(start);
  }
  /** Replaces the entry of a fragment that is no longer used by a jump to its successor (a forwarding jump, A&A §3.3). */
  forward(old, successor) {
    const code = new CodeBuffer(old.translatedStart);
    code.jump(successor.translatedStart);
    this.memory.storeCode(old.translatedStart, code.take());
    this.sites.delete(old.translatedStart);
  }
  /** Translates a fragment anew, in another form, and forwards the old one to it. @throws {GuestFault} */
  retranslate(old) {
    const { flushes } = this;
    this.invalidate(old);
    const fragment = this.translate(old.guestStart, -1);
    if (this.flushes === flushes) this.forward(old, fragment);
    return fragment;
  }
  /** The fragment, valid or not, whose code holds a linear address of the translation cache. */
  at(address) {
    const { ordered } = this;
    let low2 = 0;
    let high2 = ordered.length - 1;
    while (low2 <= high2) {
      const middle = low2 + high2 >> 1;
      const fragment = ordered[middle];
      if (address < fragment.translatedStart) high2 = middle - 1;
      else if (address >= fragment.translatedEnd) low2 = middle + 1;
      else return fragment;
    }
    return void 0;
  }
  /** The fragment that a launch belongs to, and the offset in the launch; undefined elsewhere. */
  launchAt(address) {
    if (address < COMMON_MISS || address >= this.nextLaunch) return void 0;
    const offset = (address - COMMON_MISS) % LAUNCH_BYTES;
    return { fragment: this.byLaunch.get(address - offset), offset };
  }
  byIdentifier(id) {
    return this.byId.get(id);
  }
  /** Every fragment in the cache, in the order of their addresses, with those that are no longer valid. */
  all() {
    return this.ordered;
  }
};
var CONTINUATION = new Uint8Array([205, HostVector.continuation, 204, 204]);
var ENTRY_CALLOUT = new Uint8Array([205, HostVector.continuation, 204, 204, 204]);

// emulator/vmm/vmm-memory.ts
var VmmMemory = class {
  /** @param physicalBase host-physical address of the first byte, on a page boundary. */
  constructor(host, physicalBase) {
    this.host = host;
    this.physicalBase = physicalBase;
    this.base = RAM_BASE + physicalBase;
  }
  host;
  physicalBase;
  base;
  /** True when a linear address is the VMM's. */
  static holds(linear) {
    return linear >>> 0 >= VMM_BASE;
  }
  /** A dword at an offset from VMM_BASE (a multiple of 4). */
  read32(offset) {
    return this.host.i32[this.base + offset >> 2];
  }
  write32(offset, value) {
    this.host.i32[this.base + offset >> 2] = value;
  }
  fill32(offset, count, value) {
    this.host.i32.fill(value, this.base + offset >> 2, (this.base + offset >> 2) + count);
  }
  /** Bytes at an offset, as a view. */
  bytes(offset, length) {
    return this.host.u8.subarray(this.base + offset, this.base + offset + length);
  }
  /** Stores code: decoded copies of what lay there are dropped. @param linear in the translation cache. */
  storeCode(linear, code) {
    const offset = linear - VMM_BASE;
    if (offset < 0 || offset + code.length > VMM_BYTES) throw new RangeError("Code outside the VMM's area.");
    for (let done = 0; done < code.length; ) {
      const part = Math.min(code.length - done, 4096 - (offset + done & 4095));
      this.host.poke(this.physicalBase + offset + done, code.subarray(done, done + part));
      done += part;
    }
  }
};

// emulator/vmm/monitor.ts
var FIRST_FRAME = 256;
var VMM_OVERHEAD = 1048576 + VMM_BYTES + 25165824;
var ADAPTATION_LIMIT = 8;
var READAPTATION_LIMIT = 256;
var UNTRACE_LIMIT = 16;
var TRAP_FLAG2 = 256;
var PRESENT_WRITABLE = 99;
var STEPS_AT_ONCE = 1e3;
var Monitor = class {
  constructor(host, guestMemoryBytes, ports, acknowledgeInterrupt, observer) {
    this.host = host;
    this.acknowledgeInterrupt = acknowledgeInterrupt;
    this.observer = observer;
    const { physical } = host;
    this.frames = new HostFrames(FIRST_FRAME, physical.ramBytes / 4096);
    const area = this.frames.allocateRun(VMM_BYTES / 4096);
    this.vmm = new VmmMemory(physical, area * 4096);
    const table = this.frames.allocate();
    for (let page = 0; page < 1024; page++)
      physical.write(table * 4096 + page * 4, 4, (area + page) * 4096 + PRESENT_WRITABLE);
    this.control = new HostControl(host, this.vmm);
    this.vcpu = new VirtualCpu(this.vmm);
    this.registers = new GuestRegisters(this.control.state);
    this.physical = new GuestPhysicalMemory(physical, this.frames, guestMemoryBytes);
    this.shadow = new ShadowPageTables(
      physical,
      this.frames,
      this.physical,
      this.vcpu,
      table * 4096 + PRESENT_WRITABLE,
      {
        flushTlb: () => host.tlb.flush(),
        rootChanged: (frame) => this.control.loadRoot(frame),
        hasCode: (page) => this.cache.hasCode(page),
        codeMappingDropped: (page) => this.cache.bytesChanged(page, 0, 4096),
        directoryEntryChanged: (index2) => this.code.directoryEntryChanged(index2)
      }
    );
    this.memory = new GuestLinearMemory(this.shadow, this.physical);
    this.descriptors = new ShadowDescriptorTables(this.vmm, this.memory, this.shadow);
    this.guest = new GuestContext(
      this.control.state,
      this.vcpu,
      this.registers,
      this.physical,
      this.memory,
      this.shadow,
      this.descriptors
    );
    this.code = new GuestCode(this.vcpu, this.shadow, this.physical);
    this.cache = new TranslationCache(this.vmm, this.code, {
      codePageAdded: (page) => this.shadow.traces.set(page, Trace.code),
      codePageRemoved: (page) => this.shadow.traces.clear(page, Trace.code),
      translated: (fragment) => {
        this.code.translated(fragment);
        observer.translated(fragment);
      }
    });
    this.code.cache = this.cache;
    this.physical.onWrite = (address, length) => this.pageWritten(address, length);
    this.transfer = new ControlTransfer(this.guest, () => {
    });
    this.emulator = new InstructionEmulator(this.registers, this.guest);
    this.privileged = new PrivilegedInstructions(
      this.guest,
      this.emulator,
      this.transfer,
      new PortInstructions(this.guest, ports),
      {
        controlsChanged: (cr0, cr4) => this.controlsChanged(cr0, cr4),
        privilegeLevelChanged: () => this.cache.flush(),
        invalidatePage: (linear) => this.invalidatePage(linear),
        localTableLoaded: (length) => this.control.loadLocalDescriptorTable(length),
        stackSegmentLoaded: () => this.publishStack(),
        loadHostSegment: (segment, selector) => {
          this.descriptors.refresh(selector);
          host.processor.core.segmentation.load(segment, selector);
          this.descriptors.drop(selector);
        },
        executeCpuid: () => void host.processor.helpers.cpuid(0, 0),
        timestamp: () => host.now(),
        softwareInterrupt: (vector2, next) => this.softwareInterrupt(vector2, next)
      }
    );
    this.interrupts = new InterruptWindow(this.vcpu, this.vmm);
  }
  host;
  acknowledgeInterrupt;
  observer;
  vmm;
  frames;
  physical;
  vcpu;
  registers;
  shadow;
  memory;
  descriptors;
  guest;
  cache;
  code;
  control;
  statistics = {
    callouts: 0,
    directExecution: 0,
    trueFaults: 0,
    traceWrites: 0,
    adapted: 0,
    interruptsDelivered: 0
  };
  /** The VMM works: guest interrupts wait until it goes back. */
  inside = false;
  /** The VMM has been stopped inside: the guest's registers are in `registers`, and `resume` has to be called. */
  suspended = false;
  suspendedWork;
  /** What is left to do before the VMM goes back to guest code. */
  todo;
  /** The host's %gs is the VMM's. */
  gsIsVmm = false;
  /** The host stands in the VMM's idle loop. */
  idle = false;
  transfer;
  emulator;
  privileged;
  interrupts;
  traps = /* @__PURE__ */ new Map();
  /** Executions in a row in which a simulated instruction needed no emulation. */
  idleSimulations = /* @__PURE__ */ new Map();
  untraced = 0;
  /** Powers the vCPU on. The caller then sets its registers as the boot protocol asks and calls `enterGuest`. */
  start() {
    this.vcpu.reset();
    this.interrupts.reset();
    this.shadow.activate();
    this.control.start(this.shadow.rootFrame);
    this.control.followControls(this.vcpu.cr0, this.vcpu.cr4);
  }
  /** Runs the guest from the state in the vCPU and the registers. */
  enterGuest() {
    this.publishStack();
    this.inside = true;
    this.run(() => this.resume());
  }
  // Interrupts of the guest's devices.
  /** The guest's interrupt controller drives INTR. */
  interruptRequest(asserted) {
    this.interrupts.requested = asserted;
    if (!asserted) this.interrupts.clearPending();
    if (!this.inside) this.control.requestInterrupt(asserted);
  }
  /** Interrupts are held while the debugger steps. Clear it with releaseInterrupts(). */
  holdInterrupts = false;
  /** Lets interrupts that were held back come. */
  releaseInterrupts() {
    this.holdInterrupts = false;
    if (this.interrupts.requested && this.vcpu.interruptFlag) this.control.requestInterrupt(true);
  }
  // The way in.
  /** The host has entered the VMM: handles the event and returns to guest code (or stays suspended). */
  enter() {
    const { host, control } = this;
    this.inside = true;
    host.clock.advanceTo(host.now());
    const frame = control.readFrame();
    if (this.idle) {
      this.idle = false;
      control.endInterrupt();
      this.run(() => this.resume());
      return;
    }
    this.registers.eip = frame.eip;
    this.registers.esp = frame.esp;
    this.registers.eflags = frame.eflags;
    const translated = (frame.cs & 3) === 1;
    this.run(() => {
      if (translated) this.fromTranslatedCode(frame);
      else this.fromUserCode(frame);
    });
  }
  /** Goes on after a suspension. */
  proceed() {
    const work = this.suspendedWork;
    this.suspended = false;
    this.suspendedWork = void 0;
    this.inside = true;
    this.run(() => work ? work() : this.resume());
  }
  /** Does `work` and what it leaves to do, step by step: a fault whose handler faults must not grow the stack. */
  run(work) {
    this.todo = work;
    for (let steps = 0; this.todo !== void 0 && !this.suspended; steps++) {
      const step2 = this.todo;
      this.todo = void 0;
      if (steps > STEPS_AT_ONCE) {
        this.suspend(step2);
        break;
      }
      try {
        step2();
      } catch (fault) {
        if (!(fault instanceof GuestFault)) throw fault;
        this.todo = () => this.raise(fault);
      }
    }
    this.inside = false;
    if (this.interrupts.requested && !this.idle) this.control.requestInterrupt(!this.vcpu.pendingInterrupt);
  }
  suspend(work) {
    this.suspended = true;
    this.suspendedWork = work;
  }
  /** Tells an event; when the machine has to stop, `work` is what is left to do. True when it stops. */
  stopsAt(event, description, details, work) {
    if (!this.observer.wants(event) || !this.observer.event(event, description(), details)) return false;
    this.suspend(work);
    return true;
  }
  fromTranslatedCode(frame) {
    const { vector: vector2 } = frame;
    if (vector2 === HostVector.continuation) {
      this.continuation(frame);
      return;
    }
    if (vector2 === HostVector.callout) {
      this.callout(frame);
      return;
    }
    if (vector2 === Vector2.pageFault && this.hiddenFault(frame, false)) return;
    const recovered = recover(this.cache, this.vmm, frame.eip);
    if (vector2 >= HostVector.interrupts && vector2 < HostVector.interrupts + 16) {
      this.control.endInterrupt();
      this.interruptedTranslatedCode(frame, recovered);
      return;
    }
    if (vector2 === Vector2.debug) {
      this.steppedTranslatedCode(frame, recovered);
      return;
    }
    this.undo(recovered);
    this.trap(frame);
  }
  fromUserCode(frame) {
    const { vcpu } = this;
    this.statistics.directExecution++;
    this.takeUserSegments(frame);
    const { vector: vector2 } = frame;
    if (vector2 === Vector2.pageFault && this.hiddenFault(frame, true)) return;
    if (vector2 >= HostVector.interrupts && vector2 < HostVector.interrupts + 16) {
      this.control.endInterrupt();
      this.interrupts.notice();
      this.resume();
      return;
    }
    if (vector2 === Vector2.debug)
      vcpu.dr[6] = vcpu.dr[6] & ~16399 | this.control.state.i32[State.dr + 6 * 8 >> 2];
    this.trap(frame);
  }
  /** What user code may have changed without the VMM: CS, SS and GS. */
  takeUserSegments(frame) {
    const { vcpu, guest } = this;
    const { state } = this.control;
    for (const [segment, selector] of [
      [vcpu.cs, frame.cs],
      [vcpu.ss, frame.ss]
    ]) {
      if (segment.selector === selector || (selector & 65528) >= (HostSelector.cachedStack & 65528)) continue;
      const descriptor = this.descriptors.descriptor(selector);
      if (descriptor !== void 0) guest.fillSegment(segment, selector, descriptor);
    }
    const gs = state.selector(5);
    if (this.gsIsVmm || (gs & 65528) === (HostSelector.cachedGs & 65528)) return;
    vcpu.gs.selector = gs;
    vcpu.gs.access = state.access(5);
    vcpu.gs.base = state.baseLow(5) >>> 0;
    vcpu.gs.limit = state.limit(5);
  }
  // Exceptions.
  /** A page fault that the guest need not know of: true when it is done with. */
  hiddenFault(frame, user) {
    const { shadow } = this;
    const address = this.control.state.i32[State.cr2 >> 2] >>> 0;
    const access = frame.errorCode & Access2.write | (user ? Access2.user : 0);
    const result = shadow.fill(address, access);
    if (result !== FillResult.filled) return false;
    const back = () => this.leaveTo(frame);
    const what = () => `Hidden page fault: the shadow now maps 0x${address.toString(16).padStart(8, "0")}`;
    if (!this.stopsAt("hidden-page-fault", what, { address, errorCode: frame.errorCode }, back)) back();
    return true;
  }
  /** Back to where the host was interrupted, with nothing changed. */
  leaveTo(frame) {
    this.control.leave(frame.eip, frame.cs, frame.eflags, frame.esp, frame.ss);
  }
  /** An exception of the guest instruction at registers.eip: the guest's own, or work for the VMM. */
  trap(frame) {
    const { vector: vector2, errorCode } = frame;
    switch (vector2) {
      case Vector2.pageFault:
        this.pageFault(frame);
        return;
      case Vector2.generalProtection:
      case Vector2.stackFault:
      case Vector2.segmentNotPresent:
      case Vector2.invalidTss:
        this.protectionFault(frame);
        return;
      case Vector2.doubleFault:
        throw new Error(`Double fault of the host at 0x${frame.eip.toString(16)}.`);
      default:
        this.raise(new GuestFault(vector2, vector2 === 17 ? errorCode : void 0));
    }
  }
  pageFault(frame) {
    const address = this.control.state.i32[State.cr2 >> 2] >>> 0;
    const access = frame.errorCode & Access2.write | (this.guest.user ? Access2.user : 0);
    const result = this.shadow.fill(address, access);
    if (result === FillResult.filled) {
      this.resume();
      return;
    }
    if (result === FillResult.fault) {
      this.raise(new GuestFault(Vector2.pageFault, this.shadow.walk.errorCode, address));
      return;
    }
    const page = this.shadow.walk.physical >>> 12;
    if (result === FillResult.traced) this.statistics.traceWrites++;
    this.emulate(result === FillResult.traced ? page : -1);
  }
  /** Executes the guest instruction at registers.eip in the VMM. @param traced the write-traced page that it writes, -1 for none */
  emulate(traced) {
    const { registers } = this;
    const { eip } = registers;
    const { instruction: instruction2, next } = this.code.instructionAt(eip);
    if (this.emulator.execute(instruction2, next)) {
      this.untraced = 0;
      if (!this.guest.user) this.adapt(eip, instruction2);
      this.resume();
      return;
    }
    if (traced < 0 || ++this.untraced > UNTRACE_LIMIT) this.refuseInstruction(instruction2);
    this.untrace(traced);
    this.resume();
  }
  refuseInstruction(instruction2) {
    const bytes = [...instruction2.bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    refuse(`uses the instruction ${bytes} on memory that the VMM has to emulate`, this.registers.eip);
  }
  /** Lets a page be written once without the VMM: what it was traced for is forgotten and found again when it is used. */
  untrace(page) {
    this.shadow.forgetTables(page);
    this.cache.bytesChanged(page, 0, 4096);
    this.descriptors.untracePage(page);
  }
  /** An instruction that traps again and again gets a translation that calls out at once. */
  adapt(eip, instruction2) {
    if (instruction2.repeat !== 0) return;
    const traps = (this.traps.get(eip) ?? 0) + 1;
    this.traps.set(eip, traps);
    if (traps !== ADAPTATION_LIMIT) return;
    this.statistics.adapted++;
    this.code.simulate(eip);
    this.dropTranslationsOf(eip);
  }
  dropTranslationsOf(eip) {
    for (const fragment of [...this.cache.all()])
      if (fragment.valid && fragment.lines.some((line) => line.guest === eip)) this.cache.invalidate(fragment);
  }
  /** A simulated instruction ran: one that found nothing to emulate many times in a row is translated as it is again. */
  readapt(eip, needed) {
    const idle = needed ? 0 : (this.idleSimulations.get(eip) ?? 0) + 1;
    this.idleSimulations.set(eip, idle);
    if (idle < READAPTATION_LIMIT) return;
    this.idleSimulations.delete(eip);
    this.traps.delete(eip);
    this.code.unsimulate(eip);
    this.dropTranslationsOf(eip);
  }
  /** #GP, #SS, #NP, #TS of the host: a sensitive instruction, a truncated segment, a descriptor without shadow, or the guest's own. */
  protectionFault(frame) {
    const { vector: vector2, errorCode } = frame;
    const { registers } = this;
    const { eip } = registers;
    if (errorCode !== 0 && (errorCode & 2) === 0 && this.shadowDescriptorMissing(errorCode)) {
      this.resume();
      return;
    }
    const { instruction: instruction2, next } = this.code.instructionAt(registers.eip);
    if (errorCode !== 0 && (errorCode & 2) === 0 && !this.descriptors.isTraced(errorCode)) {
      if (this.privileged.loadSegment(instruction2, next)) {
        this.resume();
        return;
      }
    }
    if (this.guest.user && (errorCode === 0 || errorCode & 2) && this.userTraps(instruction2)) {
      this.privileged.execute(instruction2, next);
      this.resume();
      return;
    }
    if (errorCode === 0 && this.emulator.execute(instruction2, next)) {
      if (!this.guest.user) this.adapt(eip, instruction2);
      this.resume();
      return;
    }
    this.raise(new GuestFault(vector2, errorCode));
  }
  /** Instructions that trap at CPL 3 and that the guest may be allowed: I/O, CLI, STI, HLT, INT n, SYSENTER, far transfers. */
  userTraps({ opcode }) {
    return opcode >= 108 && opcode <= 111 || opcode >= 228 && opcode <= 231 || opcode >= 236 && opcode <= 239 || opcode >= 204 && opcode <= 206 || opcode === 241 || opcode === 250 || opcode === 251 || opcode === 3892;
  }
  /** A load found no shadow descriptor although the guest has one: makes it and says true. */
  shadowDescriptorMissing(errorCode) {
    const selector = errorCode & 65532;
    if (this.descriptors.isShadowed(selector) || !this.descriptors.isTraced(selector)) return false;
    const guest = this.descriptors.descriptor(selector);
    const isSegment = guest !== void 0 && (guest[1] & 4096) !== 0;
    if (!isSegment || (guest[1] & 32768) === 0) return false;
    if ((guest[1] >> 13 & 3) < this.vcpu.cpl && (guest[1] & 3072) !== 3072) return false;
    this.descriptors.setHighBits(selector, 256);
    return this.descriptors.isShadowed(selector);
  }
  /** Raises an exception in the vCPU and goes on with its handler. */
  raise(fault) {
    const { vector: vector2, errorCode } = fault;
    const { eip } = this.registers;
    const where = () => `at 0x${eip.toString(16).padStart(8, "0")}`;
    if (vector2 === Vector2.pageFault) {
      this.statistics.trueFaults++;
      const address = fault.address >>> 0;
      const text = () => `True page fault on 0x${address.toString(16).padStart(8, "0")} ${where()}`;
      const details = { vector: vector2, errorCode, address };
      if (this.stopsAt("true-page-fault", text, details, () => this.deliverFault(fault))) return;
    } else if (this.stopsAt(
      "exception",
      () => `Exception ${vector2} ${where()}`,
      { vector: vector2, errorCode },
      () => this.deliverFault(fault)
    ))
      return;
    this.deliverFault(fault);
  }
  deliverFault(fault) {
    if (fault.vector === Vector2.pageFault) this.vcpu.cr2 = fault.address >>> 0;
    this.deliver(fault.vector, fault.errorCode, false);
  }
  deliver(vector2, errorCode, external2) {
    if (!this.transfer.deliver({ vector: vector2, errorCode, external: external2 })) {
      this.suspend(void 0);
      this.observer.tripleFault();
      return;
    }
    this.vcpu.halted = false;
    this.todo = () => this.resume();
  }
  softwareInterrupt(vector2, next) {
    const { registers } = this;
    const { eip } = registers;
    registers.eip = next;
    try {
      this.transfer.enterSoftware(vector2);
    } catch (fault) {
      registers.eip = eip;
      throw fault;
    }
  }
  // Translated code.
  continuation(frame) {
    const address = frame.eip - 2;
    const site = this.cache.site(address);
    if (site === void 0) throw new Error(`No continuation at 0x${address.toString(16)}.`);
    this.registers.eip = site.next;
    const fragment = this.cache.resolve(address, site);
    this.enterFragment(fragment);
  }
  callout(frame) {
    const { registers, vmm } = this;
    const address = frame.eip - 2;
    const site = this.cache.site(address);
    if (site === void 0) {
      registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
      registers.eip = vmm.read32(VcpuBlock.target) >>> 0;
      const fragment = this.cache.findOrTranslate(registers.eip);
      this.cache.launch(fragment);
      this.enterFragment(fragment);
      return;
    }
    this.statistics.callouts++;
    registers.eip = site.guest;
    if (site.kind === "sti") registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
    const text = () => `Callout for the instruction at 0x${site.guest.toString(16).padStart(8, "0")}`;
    if (this.stopsAt("callout", text, { address: site.guest }, () => this.performCallout(site, frame.eip))) return;
    this.performCallout(site, frame.eip);
  }
  performCallout(site, behind) {
    const { registers } = this;
    if (site.kind === "sti") {
      this.vcpu.interruptFlag = true;
      registers.eip = site.next;
      this.resume(true);
      return;
    }
    const instruction2 = site.instruction;
    const { slowAccesses } = this.memory;
    const known = this.privileged.execute(instruction2, site.next) || this.emulator.execute(instruction2, site.next);
    if (this.code.isSimulated(site.guest)) this.readapt(site.guest, this.memory.slowAccesses !== slowAccesses);
    if (!known) {
      if (instruction2.operandSize16) refuse("uses a 16-bit near branch", site.guest);
      this.refuseInstruction(instruction2);
    }
    const shadowed = instruction2.opcode === 23 || instruction2.opcode === 142 && instruction2.reg === 2;
    const straight = site.kind !== "callout-end" && registers.eip === site.next && site.fragment.valid && this.vcpu.cpl === 0;
    this.resume(shadowed, straight ? behind : 0);
  }
  /** Makes the host's registers those of the guest at the start of the instruction at `recovered.eip`. */
  undo(recovered) {
    const { registers, vmm } = this;
    registers.eip = recovered.eip;
    if (recovered.undo & Undo.finishPopf) {
      vmm.write32(VcpuBlock.interruptAdjust, registers.read32(1) | 0);
      registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
      const line = recovered.fragment?.lines.find((one2) => one2.guest === recovered.eip);
      if (line) registers.eip = line.guest + line.guestBytes.length;
      return;
    }
    if (recovered.undo & Undo.ecx) registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
    if (recovered.undo & Undo.eax) registers.write32(0, vmm.read32(VcpuBlock.savedEax));
    registers.esp = registers.esp + recovered.stackAdjust >>> 0;
  }
  interruptedTranslatedCode(frame, recovered) {
    this.interrupts.notice();
    if (recovered.shadowed) {
      this.interrupts.shadow = true;
      this.control.leave(frame.eip, frame.cs, frame.eflags | TRAP_FLAG2, frame.esp, frame.ss);
      return;
    }
    this.undo(recovered);
    this.resume();
  }
  /** A single step of the host in translated code: the guest steps itself, or waits for the end of an interrupt shadow. */
  steppedTranslatedCode(frame, recovered) {
    if (!recovered.boundary) {
      this.leaveTo(frame);
      return;
    }
    this.undo(recovered);
    this.registers.eflags &= ~TRAP_FLAG2;
    this.interrupts.shadow = false;
    if (this.vcpu.trapFlag) {
      this.vcpu.dr[6] = this.vcpu.dr[6] | 16384;
      this.raise(new GuestFault(Vector2.debug));
      return;
    }
    this.resume();
  }
  // The way back.
  /**
   * Runs the guest from registers.eip.
   * @param shadow the next instruction retires before an interrupt is taken
   * @param translated host address to go on at, when it is known that it belongs to registers.eip
   */
  resume(shadow = false, translated = 0) {
    const { vcpu, interrupts } = this;
    if (interrupts.requested && !this.holdInterrupts) {
      if (vcpu.interruptFlag && !shadow) {
        this.deliverInterrupt();
        return;
      }
      interrupts.notice();
    }
    if (vcpu.halted) {
      this.haltGuest();
      return;
    }
    if (vcpu.cpl === 3) {
      this.runDirectly();
      return;
    }
    interrupts.shadow = shadow && interrupts.requested;
    if (translated !== 0) {
      this.runTranslated(translated);
      return;
    }
    let fragment;
    try {
      fragment = this.cache.findOrTranslate(this.registers.eip);
    } catch (fault) {
      if (!(fault instanceof GuestFault)) throw fault;
      this.todo = () => this.raise(fault);
      return;
    }
    this.enterFragment(fragment);
  }
  enterFragment(fragment) {
    fragment.entries++;
    this.runTranslated(fragment.translatedStart);
  }
  runTranslated(address) {
    const { registers, vcpu, control } = this;
    if (!this.gsIsVmm) {
      control.loadVmmGs();
      this.gsIsVmm = true;
    }
    if (this.stackOf !== 0) this.publishStack();
    vcpu.publishSelectors();
    let flags = (registers.eflags | 514) & ~TRAP_FLAG2;
    if (vcpu.trapFlag || this.interrupts.shadow) flags |= TRAP_FLAG2;
    control.leave(address, HostSelector.translatedCode, flags, registers.esp, HostSelector.cachedStack);
  }
  /** Privilege level of the stack segment in the cached descriptor; -1: it has to be written anew. */
  stackOf = -1;
  publishStack() {
    if (this.vcpu.cpl !== 0) {
      this.stackOf = -1;
      return;
    }
    this.control.cacheDescriptor(HostSelector.cachedStack, this.vcpu.ss);
    this.stackOf = 0;
  }
  runDirectly() {
    const { registers, vcpu, control, descriptors } = this;
    if ((vcpu.cs.base + registers.eip) % 4294967296 >= VMM_BASE) {
      this.code.fetch(vcpu.cs.base + registers.eip >>> 0);
      refuse("runs user code in the top 4 MB of linear space", registers.eip);
    }
    for (const [segment, what] of [
      [vcpu.cs, "code"],
      [vcpu.ss, "stack"]
    ]) {
      if (!descriptors.isTraced(segment.selector)) descriptors.refresh(segment.selector);
      if (!descriptors.isShadowed(segment.selector) && !this.shadowDescriptorMissing(segment.selector))
        refuse(`runs user code whose ${what} segment is not in its tables`, registers.eip);
    }
    if (this.gsIsVmm) {
      control.loadGuestGs(vcpu.gs, descriptors.isShadowed(vcpu.gs.selector));
      this.gsIsVmm = false;
    }
    this.stackOf = -1;
    control.leave(registers.eip, vcpu.cs.selector, registers.eflags | 514, registers.esp, vcpu.ss.selector);
  }
  deliverInterrupt() {
    const { eip } = this.registers;
    const vector2 = this.acknowledgeInterrupt();
    this.statistics.interruptsDelivered++;
    const text = () => `Interrupt ${vector2} at 0x${eip.toString(16).padStart(8, "0")}`;
    const work = () => this.deliver(vector2, void 0, true);
    if (!this.stopsAt("interrupt", text, { vector: vector2 }, work)) work();
  }
  /** HLT: the VMM halts the host until one of its devices asks for it. */
  haltGuest() {
    if (!this.vcpu.interruptFlag) {
      this.suspend(void 0);
      this.observer.halted();
      return;
    }
    this.idle = true;
    this.control.idle();
  }
  /** True while the guest is halted and waits for an interrupt. */
  get isIdle() {
    return this.idle;
  }
  // For debuggers.
  /** The guest's registers are in `registers`, not in the host's: the VMM was stopped inside, or the guest is halted. */
  get holdsGuestRegisters() {
    return this.suspended || this.idle;
  }
  /** Takes the guest's registers out of guest code, at a boundary between guest instructions; proceed() goes on with them. */
  takeGuestRegisters() {
    if (this.holdsGuestRegisters) return;
    const { state } = this.control;
    const { registers } = this;
    registers.eip = state.eip;
    registers.esp = state.gpr32(4) >>> 0;
    registers.eflags = this.host.processor.core.flags.readEflags();
    if (state.cpl === 1) this.undo(recover(this.cache, this.vmm, state.eip));
    else
      this.takeUserSegments({
        vector: 0,
        errorCode: 0,
        eip: 0,
        cs: state.selector(1),
        eflags: 0,
        esp: 0,
        ss: state.selector(2)
      });
    this.control.enterRing0();
    this.suspend(() => this.resume());
  }
  /** Makes the guest go on at another address. */
  moveTo(eip) {
    this.takeGuestRegisters();
    this.registers.eip = eip >>> 0;
    this.vcpu.halted = false;
    if (this.idle) {
      this.idle = false;
      this.suspend(() => this.resume());
    } else if (this.suspended) this.suspendedWork = () => this.resume();
  }
  /** Loads the guest's EFLAGS, but for VM. */
  setEflags(value) {
    this.takeGuestRegisters();
    this.guest.loadEflags(value, LOADABLE | 12800, this.vcpu.cpl);
  }
  // Changes of the guest's paging.
  controlsChanged(cr0, cr4) {
    const { shadow, vcpu } = this;
    const structure = cr0 & (Cr02.pg | Cr02.wp) | cr4 & Cr42.pse;
    if (structure !== 0) {
      if (cr0 & Cr02.pg || cr4 & Cr42.pse) this.cache.flush();
      shadow.dropAll();
    }
    shadow.activate();
    this.control.followControls(vcpu.cr0, vcpu.cr4);
    this.code.rootChanged();
    this.descriptors.mappingChanged();
  }
  invalidatePage(linear) {
    this.host.tlb.flushPage(linear | 0, 0);
    this.descriptors.mappingChanged();
  }
  /** Bytes of a guest-physical page changed by the VMM's hand: those who trace it are told. */
  pageWritten(address, length) {
    const page = address >>> 12;
    const reasons = this.shadow.traces.reasonsOf(page);
    if (reasons === 0) return;
    if (reasons & Trace.table) this.shadow.guestTableWritten(address, length);
    if (reasons & Trace.code) this.cache.bytesChanged(page, address & 4095, (address & 4095) + length);
    if (reasons & Trace.descriptors) this.descriptors.written(address, length);
  }
};

// emulator/vmm/translation-cache-view.ts
var CacheView = class {
  constructor(cache, memory) {
    this.cache = cache;
    this.memory = memory;
    this.start = BigInt(cache.start);
    this.end = BigInt(cache.end);
  }
  cache;
  memory;
  start;
  end;
  view(fragment) {
    const lines = fragment.lines.map((line) => {
      const translated = fragment.translatedStart + line.offset;
      const length = Math.max(0, Math.min(line.length, fragment.translatedEnd - translated));
      return {
        guest: BigInt(line.guest),
        guestBytes: line.guestBytes,
        translated: BigInt(translated),
        translatedBytes: this.memory.bytes(translated - VMM_BASE, length).slice(),
        tag: line.tag
      };
    });
    const exits = fragment.exits.map(
      (exit) => ({
        kind: exit.kind,
        guestTarget: exit.target < 0 ? void 0 : BigInt(exit.target),
        state: exit.state,
        ...exit.fragment < 0 ? {} : { fragment: exit.fragment }
      })
    );
    return {
      id: fragment.id,
      guestStart: BigInt(fragment.guestStart),
      guestEnd: BigInt(fragment.guestEnd),
      translatedStart: BigInt(fragment.translatedStart),
      translatedEnd: BigInt(fragment.translatedEnd),
      lines,
      exits,
      entries: fragment.entries,
      generation: fragment.generation,
      valid: fragment.valid
    };
  }
  fragments() {
    return this.cache.all().map((fragment) => this.view(fragment));
  }
  fragment(id) {
    const found = this.cache.byIdentifier(id);
    return found && this.view(found);
  }
  fragmentAt(linear) {
    const address = Number(linear);
    const translated = this.cache.at(address);
    if (translated?.valid) return this.view(translated);
    const guest = this.cache.all().find((fragment) => fragment.valid && fragment.guestStart <= address && fragment.guestEnd > address);
    return guest && this.view(guest);
  }
  guestAddressOf(translated) {
    if (translated < this.start || translated >= this.end) return void 0;
    const address = Number(translated);
    const fragment = this.cache.at(address);
    if (fragment === void 0) {
      const site = this.cache.site(address);
      return site && BigInt(site.next);
    }
    const recovered = recover(this.cache, this.memory, address);
    return recovered.undo & Undo.target ? void 0 : BigInt(recovered.eip);
  }
  hashTable() {
    const buckets = [...this.cache.hashTable.entries()].map(({ index: index2, guest, fragment }) => ({
      index: index2,
      guest: BigInt(guest),
      fragment: this.cache.at(fragment)?.id ?? 0
    }));
    return { size: this.cache.hashTable.size, used: buckets.length, buckets };
  }
};

// emulator/vmm/binary-translation-machine.ts
var VCPU2 = 1;
var PCPU2 = 2;
var FLAT_CODE2 = 49307;
var FLAT_DATA2 = 49299;
var REGISTERS = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };
var STEP_LIMIT = 1e5;
var BinaryTranslationMachine = class {
  /** @throws {MachineError} when the image cannot be started. */
  constructor(configuration) {
    this.configuration = configuration;
    this.start();
  }
  configuration;
  technique = "bt";
  host;
  monitor;
  /** The guest's devices. */
  guestDevices;
  input;
  vcpu;
  pcpu;
  translationCache;
  serialListeners = [];
  consoleListeners = [];
  breakpoints = new BreakpointMap();
  watchpoints = new GuestWatchpoints((stop) => this.watchHit(stop));
  watched = [];
  filters = [];
  pending;
  ended;
  resetAsked = false;
  start() {
    const { configuration } = this;
    if (!configuration.image)
      throw new MachineError('The technique "bt" starts a kernel image in protected mode: name one, or choose "none".');
    this.pending = this.ended = void 0;
    this.resetAsked = false;
    const host = new HostMachine({
      memoryBytes: configuration.memory + VMM_OVERHEAD,
      onSerial: () => {
      },
      onDebugConsole: () => {
      },
      onReset: () => {
      }
    });
    this.host = host;
    const devices = new PcDevices({
      clock: host.clock,
      memoryBytes: configuration.memory,
      interruptRequest: (asserted) => this.monitor?.interruptRequest(asserted),
      nonMaskableInterrupt: () => {
      },
      reset: () => {
        this.resetAsked = true;
        host.stop({ kind: "requested" });
      },
      powerOff: () => this.end({ reason: "poweroff" }),
      debugExit: (value) => this.end({ reason: "debug-exit", value }),
      debugConsole: (byte) => {
        for (const listener of this.consoleListeners) listener(byte);
      },
      serial: (byte) => {
        for (const listener of this.serialListeners) listener(new Uint8Array([byte]));
      },
      timeOfTsc: (tsc) => Number(tsc) + (host.now() - host.engine.retired)
    });
    this.guestDevices = devices;
    this.input = new SerialInput(host.clock, devices.com1);
    this.monitor = new Monitor(host, configuration.memory, devices.ports, () => devices.acknowledge(), {
      event: (event, description, details) => this.event(event, description, details),
      wants: () => this.filters.length > 0,
      translated: (fragment) => {
        this.breakpoints.translated(fragment);
        if (this.filters.length > 0)
          this.event("translate", `Translated the unit at 0x${fragment.guestStart.toString(16)}`, {});
      },
      tripleFault: () => this.end({ reason: "triple-fault", processor: VCPU2, description: this.describeShutdown() }),
      halted: () => this.end({ reason: "halted", description: "The vCPU is halted with interrupts off; nothing can wake it." })
    });
    const { monitor } = this;
    monitor.physical.bus = devices.memory;
    monitor.physical.kind.fill(PageKind.mmio, 160, 192);
    this.vcpu = new GuestProcessor(monitor);
    this.pcpu = new HostProcessor(host);
    this.translationCache = new CacheView(monitor.cache, monitor.vmm);
    devices.reset();
    const boot = loadImage(configuration.image, configuration, {
      size: configuration.memory,
      write: (address, bytes) => void monitor.physical.poke(address, bytes)
    });
    monitor.start();
    this.enterBootState(boot);
    this.breakpoints.attach(host.engine.code, monitor.cache);
    this.watchpoints.attach(host.processor, monitor.physical);
    this.setWatchpoints(this.watched);
  }
  /** The vCPU as the boot protocol asks, and into the guest. */
  enterBootState(boot) {
    const { monitor } = this;
    const { vcpu, registers, control } = monitor;
    const flat = { base: 0, limit: 4294967295 };
    Object.assign(vcpu.cs, { selector: boot.codeSelector, access: FLAT_CODE2, ...flat });
    Object.assign(vcpu.ss, { selector: boot.dataSelector, access: FLAT_DATA2, ...flat });
    Object.assign(vcpu.gs, { selector: boot.dataSelector, access: FLAT_DATA2, ...flat });
    control.loadFlatData([Segment.es, Segment.ds, Segment.fs], boot.dataSelector);
    Object.assign(vcpu.gdtr, boot.gdt ?? { base: 0, limit: 0 });
    if (boot.gdt) monitor.descriptors.loadGlobal(boot.gdt.base, boot.gdt.limit);
    for (let register = 0; register < 8; register++) registers.write32(register, 0);
    for (const [name, value] of Object.entries(boot.registers))
      registers.write32(REGISTERS[name], value);
    registers.eip = boot.instructionPointer;
    registers.eflags = 514;
    monitor.enterGuest();
  }
  processors() {
    return [this.vcpu, this.pcpu];
  }
  instructionCount() {
    return this.host.engine.retired;
  }
  end(stop) {
    this.ended ??= stop;
    this.host.stop({ kind: "requested" });
  }
  run(instructions) {
    if (this.ended) return this.ended;
    const end = this.host.engine.retired + instructions;
    let entries = 0;
    this.host.engine.passBreakpoint();
    while (this.host.engine.retired + entries < end) {
      const before2 = this.host.engine.retired;
      const stop = this.advance(end - before2);
      if (stop) return stop;
      if (this.host.engine.retired === before2) entries++;
    }
    return void 0;
  }
  /** Lets the host run up to its next stop and does what the VMM has to do. */
  advance(instructions) {
    const { monitor } = this;
    try {
      if (monitor.suspended) monitor.proceed();
      else {
        const stop = this.host.run(instructions);
        if (stop?.kind === "host-entry") monitor.enter();
        else if (stop) return this.conclude(stop);
      }
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
      this.ended = { reason: "halted", description: error.message };
    }
    return this.conclude(void 0);
  }
  conclude(stop) {
    if (this.resetAsked) {
      this.start();
      return void 0;
    }
    if (this.pending) {
      const { pending } = this;
      this.pending = void 0;
      return pending;
    }
    if (this.ended) return this.ended;
    switch (stop?.kind) {
      case "breakpoint": {
        const hit = this.breakpoints.hits(this.vcpu, this.pcpu);
        if (hit) return hit;
        this.host.engine.passBreakpoint();
        return void 0;
      }
      case "shutdown":
        throw new Error("The host shut down: the VMM's own tables are broken.");
      case "halted":
        this.end({
          reason: "halted",
          description: "The vCPU is halted, and nothing that is pending can wake it."
        });
        return this.ended;
      default:
        return void 0;
    }
  }
  describeShutdown() {
    const eip = this.vcpu.linearInstructionPointer();
    return `Triple fault: the vCPU shut down at 0x${eip.toString(16)} (${this.vcpu.describe()}).`;
  }
  step(processor, options3 = {}) {
    if (this.ended) return this.ended;
    if (processor !== VCPU2 && processor !== PCPU2)
      throw new MachineError(`There is no processor ${processor}: 1 is the vCPU, 2 the physical CPU.`);
    const held = !options3.takeInterrupts;
    this.host.holdInterrupts = this.monitor.holdInterrupts = held;
    try {
      return processor === PCPU2 ? this.stepHost() : this.stepGuest();
    } finally {
      this.host.holdInterrupts = false;
      this.monitor.releaseInterrupts();
    }
  }
  /** One host instruction; what the VMM does on the way counts as part of it. */
  stepHost() {
    const { engine } = this.host;
    const before2 = engine.retired;
    for (let tries = 0; tries < STEP_LIMIT && engine.retired === before2; tries++) {
      engine.passBreakpoint();
      const stop = this.advance(1);
      if (stop) return stop;
      if (this.monitor.isIdle) break;
    }
    if (this.inEntryPage()) {
      const stop = this.advance(1);
      if (stop) return stop;
    }
    return { reason: "step", processor: PCPU2 };
  }
  inEntryPage() {
    return !this.monitor.suspended && !this.monitor.isIdle && this.host.processor.core.state.cpl === 0;
  }
  /** Host instructions until the vCPU stands at the next boundary. */
  stepGuest() {
    let progressed = false;
    for (let tries = 0; tries < STEP_LIMIT; tries++) {
      const recovered = this.vcpu.view.recovered();
      const glue2 = recovered?.glue ?? false;
      const eip = this.vcpu.view.eip;
      const count = this.host.engine.retired;
      const calls = this.monitor.statistics.callouts;
      const stop = this.stepHost();
      if (stop.reason !== "step") return stop;
      if (this.monitor.isIdle) break;
      const moved = this.vcpu.view.eip !== eip;
      if (moved || !glue2 && this.host.engine.retired !== count) progressed = true;
      const now = this.vcpu.view.recovered();
      const boundary = now === void 0 || now.boundary;
      if (progressed && boundary) break;
      void calls;
    }
    return { reason: "step", processor: VCPU2 };
  }
  setExecutionBreakpoints(breakpoints) {
    this.breakpoints.set(breakpoints);
  }
  setWatchpoints(watchpoints) {
    this.watched = watchpoints;
    this.watchpoints.set(watchpoints, this.vcpu);
  }
  watchHit(stop) {
    if (this.pending) return;
    this.pending = stop;
    this.host.stop({ kind: "requested" });
  }
  setEventFilters(filters) {
    this.filters = filters;
  }
  event(event, description, details) {
    if (this.filters.length === 0) return false;
    const { vector: vector2, errorCode, address } = details;
    const matching = this.filters.filter(
      (filter) => (filter.event === event || filter.event === "exception" && event === "true-page-fault") && (filter.vector === void 0 || filter.vector === vector2)
    );
    if (matching.length === 0 || this.pending) return false;
    const eip = this.monitor.registers.eip >>> 0;
    const text = event === "exception" && vector2 !== void 0 ? `${describeException(vector2, errorCode, "exception")} at 0x${eip.toString(16)}` : description;
    this.pending = {
      reason: "event",
      processor: VCPU2,
      ids: matching.map(({ id }) => id),
      event: matching[0].event,
      description: text,
      ...vector2 === void 0 ? {} : { vector: vector2 },
      ...errorCode === void 0 ? {} : { errorCode },
      ...address === void 0 ? {} : { faultAddress: BigInt(address) }
    };
    return true;
  }
  onSerialOutput(listener) {
    this.serialListeners.push(listener);
  }
  serialInput(bytes) {
    this.input.queue(bytes, this.instructionCount());
  }
  onDebugConsole(listener) {
    this.consoleListeners.push(listener);
  }
  reset() {
    this.start();
  }
  statistics() {
    const { host, monitor } = this;
    const { statistics, cache, shadow } = monitor;
    const valid = cache.all().filter((fragment) => fragment.valid);
    const exits = (state) => valid.reduce((sum, fragment) => sum + fragment.exits.filter((exit) => exit.state === state).length, 0);
    return {
      instructions: host.engine.retired,
      tiers: { interpreter: host.engine.retired, compiled: 0 },
      tlb: { fills: host.tlb.fills, flushes: host.tlb.flushes },
      bt: {
        translationUnits: cache.translationUnits,
        fragments: valid.length,
        continuationsLeft: exits("continuation"),
        chained: exits("chained"),
        callouts: statistics.callouts,
        invalidated: cache.invalidated,
        directExecution: statistics.directExecution,
        linked: exits("linked"),
        elided: exits("elided"),
        adapted: statistics.adapted,
        flushes: cache.flushes
      },
      mmu: {
        hiddenFaults: shadow.hiddenFaults,
        trueFaults: statistics.trueFaults,
        traceWrites: statistics.traceWrites,
        shadowTables: shadow.size
      },
      interrupts: { delivered: statistics.interruptsDelivered }
    };
  }
  memoryHash() {
    const { physical } = this.monitor;
    const bytes = new Uint8Array(physical.ramBytes);
    physical.pmap.forEach((frame, page) => {
      if (frame < 0) return;
      const start = RAM_BASE + frame * 4096;
      bytes.set(this.host.physical.u8.subarray(start, start + 4096), page * 4096);
    });
    return sha256(bytes);
  }
  devices() {
    return this.guestDevices.all.map((device) => ({ name: device.name, registers: device.registers() }));
  }
};

// emulator/vmm/create-machine.ts
function createMachine(configuration) {
  if (configuration.engine === "compiled") {
    throw new MachineError('The engine "compiled" is not in this version: leave "engine" out or choose "interpreter".');
  }
  switch (configuration.vmm) {
    case "none":
      return new NativeMachine(configuration);
    case "bt":
      if (configuration.mmu !== void 0 && configuration.mmu !== "shadow")
        throw new MachineError('Under "bt" the tables are shadowed: leave "mmu" out or choose "shadow".');
      return new BinaryTranslationMachine(configuration);
    default:
      throw new MachineError(`The technique "${configuration.vmm}" is not in this version: choose "none" or "bt".`);
  }
}

// ../../../tmp/prof.ts
var kernel = "/work/guests/x/boot/vmlinuz-6.1.0-50-686";
var m = createMachine({ image: { name: "vmlinuz", bytes: new Uint8Array(readFileSync(kernel)) }, vmm: "bt", memory: 256 << 20, initrd: { name: "initrd", bytes: new Uint8Array(readFileSync("/tmp/initrd686")) }, append: "console=ttyS0 nokaslr" });
var mon = m.monitor;
var orig = mon.performCallout.bind(mon);
var hist = /* @__PURE__ */ new Map();
mon.performCallout = (site, b) => {
  const k = site.guest.toString(16) + " " + site.kind + " " + (site.instruction ? Buffer.from(site.instruction.bytes).toString("hex") : "");
  hist.set(k, (hist.get(k) ?? 0) + 1);
  orig(site, b);
};
var t = performance.now();
m.run(Number(process.argv[2]));
console.log((performance.now() - t) / 1e3, m.statistics());
console.log([...hist].sort((a, b) => b[1] - a[1]).slice(0, 12));
