// float16 and bfloat16 input: every call answers as for the same values in float32, on every backend.
#include "half_values.h"
#include "kernels/decode_kernels.h"
#include "separation_support.h"

namespace {

using test::value_of_bfloat16;
using test::value_of_float16;

bool same_value(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

void test_all_bits(const sieve::DecodeKernels& kernels, const char* name) {
  std::vector<uint16_t> bits(65536 + 1);
  for (size_t i = 0; i < 65536; ++i) bits[i + 1] = static_cast<uint16_t>(i);
  std::vector<float> values(65536);
  kernels.float16(bits.data() + 1, 65536, values.data());
  for (size_t i = 0; i < 65536; ++i) {
    CHECK(same_value(values[i], value_of_float16(bits[i + 1])), "%s float16 %zx: %g", name, i, values[i]);
  }
  kernels.bfloat16(bits.data() + 1, 65536, values.data());
  for (size_t i = 0; i < 65536; ++i) {
    CHECK(same_value(values[i], value_of_bfloat16(bits[i + 1])), "%s bfloat16 %zx: %g", name, i, values[i]);
  }
  for (size_t count = 0; count < 40; ++count) {
    std::vector<float> some(count + 1, 7.0f);
    kernels.float16(bits.data() + 1 + 0x3c00, count, some.data());
    for (size_t i = 0; i < count; ++i) {
      CHECK(some[i] == value_of_float16(static_cast<uint16_t>(0x3c00 + i)), "%s %zu of %zu", name, i, count);
    }
    CHECK(some[count] == 7.0f, "%s wrote behind %zu values", name, count);
  }
}

struct Half {
  test::Data decoded;
  std::vector<uint16_t> bits;
  sieve_element_type type;

  // Random bits among the moderate numbers of the type: many equal values, every mantissa.
  Half(size_t rows, size_t columns, sieve_element_type element_type)
      : decoded(rows, columns, 4), bits(decoded.storage.size()), type(element_type) {
    test::Random random(rows * 7 + columns);
    const bool brain = type == SIEVE_ELEMENT_BFLOAT16;
    for (size_t row = 0; row < rows; ++row) {
      decoded.labels[row] = static_cast<int32_t>(random.below(3));
      for (size_t k = 0; k < columns; ++k) {
        const auto random_bits = static_cast<uint16_t>(random.below(65536));
        const uint16_t exponents = brain ? 0x3f00 : 0x3800;
        const uint16_t low = brain ? 0x80ff : 0x83ff;
        const uint16_t value =
            random.below(4) == 0 ? 0 : static_cast<uint16_t>((random_bits & low) | exponents);
        bits[1 + row * decoded.stride + k] = value;
        decoded.at(row, k) = brain ? value_of_bfloat16(value) : value_of_float16(value);
      }
    }
  }
  sieve_matrix matrix() const {
    return {bits.data() + 1, decoded.rows, decoded.columns, decoded.stride, type};
  }
};

void test_separation(const Half& half, sieve_backend backend) {
  const std::string at = std::string(sieve_backend_name(backend)) + " type " + std::to_string(half.type) +
                         " " + std::to_string(half.decoded.rows) + "x" + std::to_string(half.decoded.columns);
  const auto columns = test::all_columns(half.decoded.columns);
  const auto truth = test::neighbours_naively(half.decoded, half.decoded, 2, columns);
  sieve_separation_request request = half.decoded.request(2);
  request.features = half.matrix();
  sieve_run_options options{};
  options.backend = backend;
  options.threads = test::threads(2);
  std::vector<int64_t> nearest(half.decoded.rows * 2);
  std::vector<double> distances(nearest.size());
  sieve_separation_result result{};
  result.nearest = nearest.data();
  result.nearest_distance = distances.data();
  sieve_error error{};
  CHECK(sieve_separation_index(&request, &options, &result, &error) == SIEVE_STATUS_OK, "%s: %s", at.c_str(),
        error.message);
  for (size_t i = 0; i < nearest.size(); ++i) {
    CHECK(nearest[i] == static_cast<int64_t>(truth[i / 2][i % 2].row) &&
              distances[i] == truth[i / 2][i % 2].distance,
          "%s row %zu", at.c_str(), i / 2);
  }

  // The two sets of a cross search may differ in type.
  sieve_separation_request decoded_request = half.decoded.request(1);
  sieve_separation_result expected{}, mixed{};
  CHECK(sieve_cross_separation_index(&decoded_request, half.decoded.matrix(), half.decoded.labels.data(),
                                     &options, &expected, &error) == SIEVE_STATUS_OK,
        "%s: %s", at.c_str(), error.message);
  CHECK(sieve_cross_separation_index(&decoded_request, half.matrix(), half.decoded.labels.data(), &options,
                                     &mixed, &error) == SIEVE_STATUS_OK,
        "%s: %s", at.c_str(), error.message);
  CHECK(expected.value == mixed.value, "%s cross: %g, expected %g", at.c_str(), mixed.value, expected.value);

  sieve_center_result centers{}, expected_centers{};
  std::vector<int32_t> own(half.decoded.rows), expected_own(half.decoded.rows);
  centers.nearest = own.data();
  expected_centers.nearest = expected_own.data();
  CHECK(sieve_center_separation_index(&request, &options, &centers, &error) == SIEVE_STATUS_OK, "%s: %s",
        at.c_str(), error.message);
  CHECK(
      sieve_center_separation_index(&decoded_request, &options, &expected_centers, &error) == SIEVE_STATUS_OK,
      "%s: %s", at.c_str(), error.message);
  CHECK(own == expected_own && centers.value == expected_centers.value, "%s centres", at.c_str());

  if (half.decoded.columns % 4 != 0) return;
  std::vector<int32_t> order(4), expected_order(4);
  std::vector<double> curve(4), expected_curve(4);
  request.order = decoded_request.order = 1;
  for (const int32_t index : {SIEVE_INDEX_SEPARATION, SIEVE_INDEX_CENTER}) {
    CHECK(sieve_select_filters(&request, 4, SIEVE_SELECTION_GREEDY, index, 0, &options, order.data(),
                               curve.data(), &error) == SIEVE_STATUS_OK,
          "%s: %s", at.c_str(), error.message);
    CHECK(sieve_select_filters(&decoded_request, 4, SIEVE_SELECTION_GREEDY, index, 0, &options,
                               expected_order.data(), expected_curve.data(), &error) == SIEVE_STATUS_OK,
          "%s: %s", at.c_str(), error.message);
    CHECK(order == expected_order && curve == expected_curve, "%s selection %d", at.c_str(), index);
  }
}

void test_refusals() {
  Half half(5, 3, SIEVE_ELEMENT_FLOAT16);
  half.bits[1 + 2 * half.decoded.stride + 1] = 0x7c01;  // NaN
  sieve_separation_request request = half.decoded.request();
  request.features = half.matrix();
  sieve_separation_result result{};
  sieve_error error{};
  CHECK(sieve_separation_index(&request, nullptr, &result, &error) == SIEVE_STATUS_NON_FINITE, "NaN passed");
  CHECK(error.row == 2, "row %lld", static_cast<long long>(error.row));
  for (const int32_t type : {-1, 3}) {
    request.features.element_type = type;
    CHECK(sieve_separation_index(&request, nullptr, &result, &error) == SIEVE_STATUS_INVALID_ARGUMENT,
          "element type %d passed", type);
  }
}

}  // namespace

int main() {
  test_all_bits(*sieve::decode_kernels_serial(), "serial");
#if defined(__x86_64__) || defined(_M_X64)
  if (sieve_backend_available(SIEVE_BACKEND_AVX2) == 1) test_all_bits(*sieve::decode_kernels_avx2(), "avx2");
  if (sieve_backend_available(SIEVE_BACKEND_AVX512) == 1) {
    test_all_bits(*sieve::decode_kernels_avx512(), "avx512");
  }
#elif defined(__aarch64__) || defined(_M_ARM64)
  test_all_bits(*sieve::decode_kernels_neon(), "neon");
#endif
  for (const sieve_backend backend : test::backends()) {
    for (const sieve_element_type type : {SIEVE_ELEMENT_FLOAT16, SIEVE_ELEMENT_BFLOAT16}) {
      for (const size_t rows :
           {size_t{3}, size_t{8}, size_t{17}, size_t{65}, test::size_unless_trimmed(300, 105)}) {
        for (const size_t columns : {1, 7, 16, 33, 200, 1000})
          test_separation({rows, columns, type}, backend);
      }
    }
  }
  test_refusals();
  return test::result("element_types_test");
}
