#include "model/linear.h"

#include <algorithm>
#include <cmath>

#include "common/bytes.h"

namespace espalier::model {
namespace {

float float_at(const char* from, std::uint64_t i) { return load<float>(from + i * sizeof(float)); }

Status check_finite(const char* floats, std::uint64_t count, std::string_view what) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!std::isfinite(float_at(floats, i))) {
      return corrupt(std::string(what) + "[" + std::to_string(i) + "] is not finite");
    }
  }
  return {};
}

Status check_size(std::string_view what, std::uint64_t has, std::uint64_t wanted) {
  if (has == wanted) return {};
  return corrupt(std::string(what) + " has " + std::to_string(has) + " bytes where " + std::to_string(wanted) +
                 " belong");
}

/// Weights as whole numbers of steps, one length of step (scale) an output.
struct Quantised {
  std::vector<float> scale;
  std::int8_t of(float weight, std::uint32_t output) const {
    if (scale[output] == 0) return 0;
    const double steps = std::nearbyint(static_cast<double>(weight) / static_cast<double>(scale[output]));
    return static_cast<std::int8_t>(std::clamp(steps, -127.0, 127.0));
  }
};

Quantised quantise(const LinearParameters& parameters) {
  Quantised result{std::vector<float>(parameters.outputs, 0)};
  for (std::size_t i = 0; i < parameters.weight.size(); ++i) {
    float& largest = result.scale[i % parameters.outputs];
    largest = std::max(largest, std::fabs(parameters.weight[i]));
  }
  for (float& scale : result.scale) scale /= 127;
  return result;
}

}  // namespace

Result<LinearModel> LinearModel::open(WeightFormat format, std::uint32_t features, std::uint32_t outputs,
                                      std::string_view parameters, std::string_view bias) {
  LinearModel model;
  model.format_ = format;
  model.features_ = features;
  model.outputs_ = outputs;
  RETURN_IF_ERROR(check_size("bias", bias.size(), std::uint64_t{outputs} * sizeof(float)));
  RETURN_IF_ERROR(check_finite(bias.data(), outputs, "bias"));
  model.bias_ = bias.data();
  if (format == WeightFormat::dense_f32) {
    model.count_ = std::uint64_t{features} * outputs;
    model.weights_ = parameters.data();
    RETURN_IF_ERROR(check_size("parameters", parameters.size(), model.count_ * sizeof(float)));
    RETURN_IF_ERROR(check_finite(model.weights_, model.count_, "parameters.weights"));
  } else {
    RETURN_IF_ERROR(model.check_sparse(parameters));
  }
  return model;
}

Status LinearModel::check_sparse(std::string_view parameters) {
  const bool is_i8 = format_ == WeightFormat::sparse_i8;
  if (parameters.size() < sizeof(std::uint32_t)) return corrupt("parameters end before their count");
  count_ = load<std::uint32_t>(parameters.data());
  const std::uint64_t rows = sizeof(std::uint32_t);
  const std::uint64_t scales = rows + (std::uint64_t{features_} + 1) * sizeof(std::uint32_t);
  const std::uint64_t after_scales = scales + (is_i8 ? std::uint64_t{outputs_} * sizeof(float) : 0);
  const std::uint64_t index = after_scales + (is_i8 ? 0 : count_ * sizeof(float));
  const std::uint64_t after_index = index + count_ * (outputs_ <= kMaxByteOutputs ? 1 : 2);
  RETURN_IF_ERROR(check_size("parameters", parameters.size(), after_index + (is_i8 ? count_ : 0)));
  const char* start = parameters.data();
  rows_ = start + rows;
  scales_ = start + scales;
  index_ = start + index;
  weights_ = start + (is_i8 ? after_index : after_scales);
  if (is_i8) {
    RETURN_IF_ERROR(check_finite(scales_, outputs_, "parameters.scales"));
    for (std::uint64_t i = 0; i < count_; ++i) {
      if (load<std::int8_t>(weights_ + i) == -128) {
        return corrupt("parameters.weights[" + std::to_string(i) + "] is -128");
      }
    }
  } else {
    RETURN_IF_ERROR(check_finite(weights_, count_, "parameters.weights"));
  }
  return check_rows();
}

Status LinearModel::check_rows() const {
  const auto fault = [](std::uint32_t feature, const char* what) {
    return corrupt("parameters.rows[" + std::to_string(feature) + "] " + what);
  };
  if (row_begin(0) != 0) return fault(0, "does not begin at 0");
  for (std::uint32_t feature = 0; feature < features_; ++feature) {
    const std::uint32_t begin = row_begin(feature);
    const std::uint32_t end = row_begin(feature + 1);
    if (end < begin || end > count_) return fault(feature, "ends before it begins or beyond the weights");
    for (std::uint32_t i = begin; i < end; ++i) {
      if (output_at(i) >= outputs_) return fault(feature, "names an output that does not exist");
      if (i > begin && output_at(i) <= output_at(i - 1)) return fault(feature, "has outputs that do not ascend");
    }
  }
  if (row_begin(features_) != count_) return fault(features_, "does not end with the weights");
  return {};
}

std::uint32_t LinearModel::row_begin(std::uint32_t feature) const {
  return load<std::uint32_t>(rows_ + std::uint64_t{feature} * sizeof(std::uint32_t));
}

std::uint32_t LinearModel::output_at(std::uint32_t place) const {
  if (outputs_ <= kMaxByteOutputs) return load<std::uint8_t>(index_ + place);
  return load<std::uint16_t>(index_ + std::uint64_t{place} * 2);
}

double LinearModel::weight_at(std::uint32_t place) const {
  if (format_ == WeightFormat::sparse_i8) return load<std::int8_t>(weights_ + place);
  return float_at(weights_, place);
}

// Bytes that have changed since they were checked must not lead outside of the scores or the weights (docs/damage.md):
// a byte can't name more than 256 outputs, of which `scores` has room for all; a wider index is held to those there
// are.
template <class Index, class Weight>
void LinearModel::add_sparse(const FeatureVector& row, std::vector<double>& scores) const {
  if constexpr (sizeof(Index) == 1) scores.resize(kMaxByteOutputs);
  double* to = scores.data();
  for (std::size_t k = 0; k < row.index.size(); ++k) {
    const double value = row.value[k];
    const std::uint64_t end = std::min<std::uint64_t>(row_begin(row.index[k] + 1), count_);
    for (std::uint64_t i = row_begin(row.index[k]); i < end; ++i) {
      std::uint32_t output = load<Index>(index_ + i * sizeof(Index));
      if constexpr (sizeof(Index) > 1) output = std::min(output, outputs_ - 1);
      to[output] += value * load<Weight>(weights_ + i * sizeof(Weight));
    }
  }
  scores.resize(outputs_);
}

void LinearModel::score(const FeatureVector& row, std::vector<double>& scores) const {
  if (format_ == WeightFormat::sparse_i8) {
    // Whole numbers of steps first, the scale once for each output. Sums are doubles: no finite input overflows them.
    scores.assign(outputs_, 0);
    if (outputs_ <= kMaxByteOutputs)
      add_sparse<std::uint8_t, std::int8_t>(row, scores);
    else
      add_sparse<std::uint16_t, std::int8_t>(row, scores);
    for (std::uint32_t o = 0; o < outputs_; ++o) scores[o] = float_at(bias_, o) + scores[o] * float_at(scales_, o);
    return;
  }
  scores.resize(outputs_);
  for (std::uint32_t o = 0; o < outputs_; ++o) scores[o] = float_at(bias_, o);
  if (format_ == WeightFormat::sparse_f32) {
    if (outputs_ <= kMaxByteOutputs)
      add_sparse<std::uint8_t, float>(row, scores);
    else
      add_sparse<std::uint16_t, float>(row, scores);
    return;
  }
  for (std::size_t k = 0; k < row.index.size(); ++k) {
    const double value = row.value[k];
    const char* weights = weights_ + std::uint64_t{row.index[k]} * outputs_ * sizeof(float);
    for (std::uint32_t o = 0; o < outputs_; ++o) scores[o] += value * float_at(weights, o);
  }
}

void LinearModel::for_each_weight(
    const std::function<void(std::uint32_t feature, std::uint32_t output, double weight)>& visit) const {
  for (std::uint32_t feature = 0; feature < features_; ++feature) {
    if (format_ == WeightFormat::dense_f32) {
      const char* weights = weights_ + std::uint64_t{feature} * outputs_ * sizeof(float);
      for (std::uint32_t o = 0; o < outputs_; ++o) visit(feature, o, float_at(weights, o));
      continue;
    }
    for (std::uint32_t i = row_begin(feature); i < row_begin(feature + 1); ++i) {
      const double scale = format_ == WeightFormat::sparse_i8 ? float_at(scales_, output_at(i)) : 1;
      visit(feature, output_at(i), weight_at(i) * scale);
    }
  }
}

std::string encode_parameters(WeightFormat format, const LinearParameters& parameters) {
  const std::uint32_t outputs = parameters.outputs;
  const std::size_t features = parameters.weight.size() / outputs;
  if (format == WeightFormat::dense_f32) {
    return {reinterpret_cast<const char*>(parameters.weight.data()), parameters.weight.size() * sizeof(float)};
  }
  const bool is_i8 = format == WeightFormat::sparse_i8;
  const Quantised quantised = is_i8 ? quantise(parameters) : Quantised{};
  std::string rows;
  std::string index;
  std::string weights;
  std::uint32_t count = 0;
  append<std::uint32_t>(rows, 0);
  for (std::size_t feature = 0; feature < features; ++feature) {
    for (std::uint32_t o = 0; o < outputs; ++o) {
      const float weight = parameters.weight[feature * outputs + o];
      const std::int8_t steps = is_i8 ? quantised.of(weight, o) : std::int8_t{0};
      if (is_i8 ? steps == 0 : weight == 0) continue;
      if (outputs <= kMaxByteOutputs)
        append(index, static_cast<std::uint8_t>(o));
      else
        append(index, static_cast<std::uint16_t>(o));
      if (is_i8)
        append(weights, steps);
      else
        append(weights, weight);
      ++count;
    }
    append(rows, count);
  }
  std::string bytes;
  append(bytes, count);
  bytes += rows;
  for (const float scale : quantised.scale) append(bytes, scale);
  bytes += is_i8 ? index + weights : weights + index;
  return bytes;
}

}  // namespace espalier::model
