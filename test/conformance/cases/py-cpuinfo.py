# The flags of /proc/cpuinfo are those of the processor programs run on: what the machine beside has, here too.
wanted = {"fpu", "tsc", "cmov", "mmx", "sse", "sse2", "pni", "ssse3", "cx16", "sse4_1", "sse4_2", "popcnt", "aes", "pclmulqdq", "xsave", "avx", "avx2",
          "fma", "f16c", "bmi1", "bmi2", "movbe", "rdrand", "fsgsbase", "erms", "lm", "syscall", "nx"}
with open("/proc/cpuinfo") as file:
    flags = next(line for line in file if line.startswith("flags")).split(":")[1].split()
print(sorted(wanted & set(flags)), len(flags) == len(set(flags)))
