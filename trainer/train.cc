#include "trainer/train.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/clock.h"
#include "model/artefact.h"
#include "trainer/compress.h"
#include "trainer/family.h"
#include "trainer/matrix.h"
#include "trainer/slices.h"
#include "trainer/target.h"
#include "trainer/tree.h"

namespace espalier::trainer {
namespace {

/// With fewer weights there is nothing to gain from pruning.
constexpr std::size_t kFewestWeightsToPrune = 4096;

class TreeTrainer {
 public:
  TreeTrainer(const model::Spec& spec, const Source& source, const TenantRows& tenant, ThreadPool& pool,
              const NodeProgress& progress)
      : spec_(spec),
        source_(source),
        tenant_(tenant),
        pool_(pool),
        progress_(progress),
        family_(make_family(spec.task)) {}

  Result<TrainedTree> run(const model::FeatureSet& features) {
    std::int64_t start = Clock::system().monotonic_us();
    RETURN_IF_ERROR(prepare(features));
    trained_.seconds.features = seconds_since(start);
    start = Clock::system().monotonic_us();
    choose();
    trained_.seconds.choose = seconds_since(start);
    start = Clock::system().monotonic_us();
    RETURN_IF_ERROR(fit());
    trained_.seconds.fit = seconds_since(start);
    return std::move(trained_);
  }

 private:
  /// What the nodes have in common: targets, feature program, matrix, tree, the rows held out.
  Status prepare(const model::FeatureSet& features) {
    ASSIGN_OR_RETURN(classes_, read_target(spec_, source_, tenant_.rows, problem_));
    trained_.tenant = tenant_.tenant;
    trained_.inputs = features.inputs();
    trained_.rows = tenant_.rows.size();
    const FrameRows rows(source_.frame, tenant_.rows, features.inputs());
    ASSIGN_OR_RETURN(program_, features.fit(rows));
    ASSIGN_OR_RETURN(const model::Program program, model::Program::open(program_));
    problem_.x = run_program(program, rows, pool_);
    trained_.features = problem_.x.features;
    ASSIGN_OR_RETURN(slices_, read_slices(spec_, source_, tenant_.rows));
    held_out_ = choose_held_out(spec_, source_, tenant_.rows, features.inputs());
    std::vector<std::vector<std::string_view>> levels;
    for (const std::string& level : spec_.levels) {
      const auto& texts = source_.frame.columns()[*source_.frame.find({level, model::FieldType::text})].texts;
      auto& column = levels.emplace_back();
      column.reserve(tenant_.rows.size());
      for (const std::uint32_t row : tenant_.rows) column.push_back(texts[row]);
    }
    std::size_t bad_row = 0;
    auto tree = build_tree(tenant_.rows.size(), levels, spec_.training.min_rows, bad_row);
    if (!tree.ok()) {
      return tree.status().at(source_.path + ":" + std::to_string(source_.frame.line(tenant_.rows[bad_row])));
    }
    tree_ = *std::move(tree);
    deepest_.assign(tenant_.rows.size(), 0);
    has_children_.assign(tree_.nodes.size(), false);
    for (std::uint32_t node = 1; node < tree_.nodes.size(); ++node) {
      has_children_[tree_.nodes[node].parent] = true;
      for (const std::uint32_t row : tree_.rows_of(tree_.nodes[node])) deepest_[row] = node;
    }
    by_rows_.resize(tree_.nodes.size());
    std::iota(by_rows_.begin(), by_rows_.end(), std::size_t{0});
    std::ranges::stable_sort(by_rows_, std::greater<>(), [this](std::size_t i) { return tree_.nodes[i].rows(); });
    return {};
  }

  /// The penalty of each level, by what nodes fitted without their held-out rows say of those; and how few weights
  /// are enough.
  void choose() {
    const std::vector<double>& l2 = spec_.training.l2;
    held_out_metrics_.assign(tree_.nodes.size(), std::vector<Metrics>(l2.size()));
    own_metrics_.assign(tree_.nodes.size(), {});
    for (std::size_t node = 0; node < tree_.nodes.size(); ++node) {
      if (has_children_[node]) own_metrics_[node].resize(l2.size());
    }
    std::vector<model::LinearParameters> root(l2.size());
    // A task is a node with all penalties, or with one where that costs no more.
    const std::size_t at_once = family_->shares_work() ? l2.size() : 1;
    const std::size_t parts = l2.size() / at_once;
    steps_ = tree_.nodes.size() * (parts + 1);
    pool_.parallel_for(by_rows_.size() * parts, [&](std::size_t task) {
      const std::size_t node = by_rows_[task / parts];
      const std::size_t first = task % parts * at_once;
      auto fitted =
          family_->fit(problem_, rows_of(node, false), std::span(l2).subspan(first, at_once), spec_.training.seed);
      const std::vector<std::uint32_t> rows = rows_of(node, true);
      std::vector<std::uint32_t> own;
      const auto is_own = [&](std::uint32_t row) { return deepest_[row] == node; };
      if (has_children_[node]) std::ranges::copy_if(rows, std::back_inserter(own), is_own);
      for (std::size_t i = 0; i < at_once; ++i) {
        held_out_metrics_[node][first + i] = evaluate(problem_, spec_.target, fitted[i], rows);
        if (has_children_[node]) own_metrics_[node][first + i] = evaluate(problem_, spec_.target, fitted[i], own);
        if (node == 0) root[first + i] = std::move(fitted[i]);
      }
      step();
    });
    best_.assign(spec_.levels.size() + 1, 0);
    for (std::size_t depth = 0; depth < best_.size(); ++depth) best_[depth] = best_at(depth);
    for (const std::size_t best : best_) trained_.l2.push_back(l2[best]);
    for (std::size_t node = 0; node < tree_.nodes.size(); ++node) {
      const auto& metrics = has_children_[node] ? own_metrics_[node] : held_out_metrics_[node];
      trained_.held_out.add(metrics[best_[tree_.nodes[node].partition.depth()]]);
    }
    const bool is_prunable = spec_.task == model::Task::multiclass && spec_.training.compression_tolerance > 0 &&
                             root[0].weight.size() >= kFewestWeightsToPrune;
    if (!is_prunable) return;
    share_ =
        choose_share(problem_, spec_.target, root[best_[0]], rows_of(0, true), spec_.training.compression_tolerance);
    trained_.kept_share = share_.value_or(1);
  }

  /// Index of the penalty with the least loss over all nodes of the depth; the strongest among equals.
  std::size_t best_at(std::size_t depth) const {
    std::vector<double> losses(spec_.training.l2.size(), 0);
    for (std::size_t node = 0; node < tree_.nodes.size(); ++node) {
      if (tree_.nodes[node].partition.depth() != depth) continue;
      for (std::size_t i = 0; i < losses.size(); ++i) losses[i] += held_out_metrics_[node][i].loss;
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < losses.size(); ++i) {
      const bool is_stronger = spec_.training.l2[i] > spec_.training.l2[best];
      if (losses[i] < losses[best] || (losses[i] == losses[best] && is_stronger)) best = i;
    }
    return best;
  }

  /// Every node on all its rows.
  Status fit() {
    trained_.nodes.resize(tree_.nodes.size());
    std::vector<Status> statuses(tree_.nodes.size());
    pool_.parallel_for(by_rows_.size(), [&](std::size_t i) {
      statuses[by_rows_[i]] = fit_node(by_rows_[i]);
      step();
    });
    for (std::size_t i = 0; i < statuses.size(); ++i) {
      RETURN_IF_ERROR(statuses[i].at("node " + tree_.nodes[i].partition.text()));
    }
    return {};
  }

  /// The node fitted once more without its held-out rows, which costs less than keeping what each penalty gave.
  Slices slices_of(std::size_t node, double l2) const {
    Slices slices;
    if (slices_.empty()) return slices;
    const auto fitted = family_->fit(problem_, rows_of(node, false), {&l2, 1}, spec_.training.seed);
    const std::vector<std::uint32_t> held_out = rows_of(node, true);
    for (const Slice& slice : slices_) {
      const auto parts = by_value(slice, held_out);
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].empty()) continue;
        slices[slice.column].emplace(slice.values[i], evaluate(problem_, spec_.target, fitted[0], parts[i]));
      }
    }
    return slices;
  }

  Status fit_node(std::size_t node) {
    const TreeNode& from = tree_.nodes[node];
    const std::size_t best = best_[from.partition.depth()];
    TrainedNode& to = trained_.nodes[node];
    to.partition = from.partition;
    to.parent = from.parent;
    to.rows = from.rows();
    to.l2 = spec_.training.l2[best];
    to.held_out = held_out_metrics_[node][best];
    to.slices = slices_of(node, to.l2);
    const auto rows = tree_.rows_of(from);
    auto fitted = family_->fit(problem_, rows, {&to.l2, 1}, spec_.training.seed);
    model::ArtefactContents contents;
    contents.task = spec_.task;
    contents.transform = spec_.target.transform;
    contents.original_scale = spec_.target.original_scale;
    contents.classes = classes_;
    contents.program = program_;
    if (share_) {
      contents.format = model::WeightFormat::sparse_i8;
      contents.parameters = pruned(fitted[0], *share_);
    } else {
      const auto zeros = std::ranges::count(fitted[0].weight, 0.0f);
      const bool is_sparse = static_cast<std::size_t>(zeros) * 2 > fitted[0].weight.size();
      contents.format = is_sparse ? model::WeightFormat::sparse_f32 : model::WeightFormat::dense_f32;
      contents.parameters = std::move(fitted[0]);
    }
    ASSIGN_OR_RETURN(to.artefact, model::build_artefact(contents, probes_of(rows)));
    to.hash = blake2b_256(to.artefact);
    return {};
  }

  /// Rows spread evenly over the node's.
  std::vector<std::vector<model::Value>> probes_of(std::span<const std::uint32_t> rows) const {
    const FrameRows inputs(source_.frame, tenant_.rows, trained_.inputs);
    const std::size_t count = std::min<std::size_t>(spec_.training.probes, rows.size());
    std::vector<std::vector<model::Value>> probes(count, std::vector<model::Value>(trained_.inputs.size()));
    for (std::size_t i = 0; i < count; ++i) inputs.read(rows[i * rows.size() / count], probes[i]);
    return probes;
  }

  std::vector<std::uint32_t> rows_of(std::size_t node, bool held_out) const {
    std::vector<std::uint32_t> rows;
    for (const std::uint32_t row : tree_.rows_of(tree_.nodes[node])) {
      if (held_out_[row] == held_out) rows.push_back(row);
    }
    return rows;
  }

  void step() {
    const std::size_t done = done_.fetch_add(1) + 1;
    if (progress_) progress_(done, steps_);
  }

  const model::Spec& spec_;
  const Source& source_;
  const TenantRows& tenant_;
  ThreadPool& pool_;
  const NodeProgress& progress_;
  const std::unique_ptr<Family> family_;

  Problem problem_;
  std::vector<std::string> classes_;
  std::string program_;
  std::vector<bool> held_out_;  ///< by number of the tenant's row
  std::vector<Slice> slices_;
  Tree tree_;                                           ///< its order has numbers of the tenant's rows
  std::vector<std::size_t> by_rows_;                    ///< the largest node first
  std::vector<std::vector<Metrics>> held_out_metrics_;  ///< for each node, one a penalty
  std::vector<std::uint32_t> deepest_;                  ///< node of each of the tenant's rows
  std::vector<bool> has_children_;                      ///< of each node
  std::vector<std::vector<Metrics>> own_metrics_;       ///< of nodes with children: of the rows that none of those has
  std::vector<std::size_t> best_;                       ///< index of the penalty, for each depth
  std::optional<double> share_;                         ///< of the weights that are kept
  TrainedTree trained_;
  std::atomic<std::size_t> done_ = 0;
  std::size_t steps_ = 0;
};

}  // namespace

std::string metrics_json(const TrainedNode& node, model::Task task) {
  if (node.slices.empty()) return node.held_out.json(task);
  auto metrics = nlohmann::json::parse(node.held_out.json(task));
  for (const auto& [column, values] : node.slices) {
    for (const auto& [value, of] : values) metrics["slices"][column][value] = nlohmann::json::parse(of.json(task));
  }
  return metrics.dump();
}

Result<TrainedTree> train_tree(const model::Spec& spec, const model::FeatureSet& features, const Source& source,
                               const TenantRows& tenant, ThreadPool& pool, const NodeProgress& progress) {
  return TreeTrainer(spec, source, tenant, pool, progress).run(features);
}

}  // namespace espalier::trainer
