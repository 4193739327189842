// Names and values of the System V ABI, "Object Files", and its processor supplements for i386 and x86-64.

export const EM_386 = 3;
export const EM_X86_64 = 62;

export const ET_REL = 1;

export const SHT_NULL = 0;
export const SHT_SYMTAB = 2;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;

export const SHF_ALLOC = 0x2;
export const SHF_EXECINSTR = 0x4;
export const SHF_COMPRESSED = 0x800;

export const ELFCOMPRESS_ZLIB = 1;

export const SHN_UNDEF = 0;
export const SHN_ABS = 0xfff1;
export const SHN_XINDEX = 0xffff;
export const PN_XNUM = 0xffff;

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const PF_X = 1;

export const NT_GNU_BUILD_ID = 3;
