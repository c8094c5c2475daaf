#include "trainer/matrix.h"

#include <algorithm>

namespace espalier::trainer {
namespace {

constexpr std::size_t kChunkRows = 2048;

struct Chunk {
  std::vector<std::uint32_t> lengths;
  std::vector<std::uint32_t> index;
  std::vector<float> value;
};

void run_chunk(const model::Program& program, const model::Rows& rows, std::size_t begin, std::size_t end,
               model::Program::Scratch& scratch, Chunk& chunk) {
  model::FeatureVector vector;
  std::vector<model::Value> inputs(program.inputs().size());
  for (std::size_t row = begin; row < end; ++row) {
    rows.read(row, inputs);
    program.run(inputs, scratch, vector);
    chunk.lengths.push_back(static_cast<std::uint32_t>(vector.index.size()));
    chunk.index.insert(chunk.index.end(), vector.index.begin(), vector.index.end());
    chunk.value.insert(chunk.value.end(), vector.value.begin(), vector.value.end());
  }
}

}  // namespace

SparseRows run_program(const model::Program& program, const model::Rows& rows, ThreadPool& pool) {
  const std::size_t count = rows.count();
  std::vector<Chunk> chunks((count + kChunkRows - 1) / kChunkRows);
  std::vector<model::Program::Scratch> scratches(pool.size());
  pool.parallel_for(chunks.size(), [&](std::size_t i, std::size_t worker) {
    run_chunk(program, rows, i * kChunkRows, std::min(count, (i + 1) * kChunkRows), scratches[worker], chunks[i]);
  });
  SparseRows result;
  result.features = program.feature_count();
  std::size_t values = 0;
  for (const Chunk& chunk : chunks) values += chunk.index.size();
  result.start.reserve(count + 1);
  result.index.reserve(values);
  result.value.reserve(values);
  for (const Chunk& chunk : chunks) {
    for (const std::uint32_t length : chunk.lengths) result.start.push_back(result.start.back() + length);
    result.index.insert(result.index.end(), chunk.index.begin(), chunk.index.end());
    result.value.insert(result.value.end(), chunk.value.begin(), chunk.value.end());
  }
  return result;
}

void score(const model::LinearParameters& parameters, const SparseRows& x, std::size_t row, std::span<double> scores) {
  const std::size_t outputs = parameters.outputs;
  for (std::size_t o = 0; o < outputs; ++o) scores[o] = parameters.bias[o];
  const auto indices = x.indices(row);
  const auto values = x.values(row);
  for (std::size_t k = 0; k < indices.size(); ++k) {
    const float* const weights = parameters.weight.data() + indices[k] * outputs;
    const double value = values[k];
    for (std::size_t o = 0; o < outputs; ++o) scores[o] += value * static_cast<double>(weights[o]);
  }
}

}  // namespace espalier::trainer
