// Included once per instruction set, inside its anonymous namespace and after its decode_float16. A plain
// loop: the compiler makes vectors of it.

void decode_bfloat16(const uint16_t* from, size_t count, float* to) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
    std::memcpy(to + i, &bits, sizeof(bits));
  }
}

const DecodeKernels kDecode = {decode_float16, decode_bfloat16};
