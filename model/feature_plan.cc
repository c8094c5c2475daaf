#include "model/feature_plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace espalier::model {
namespace {

constexpr std::uint64_t kDefaultCategories = 1000;
constexpr std::uint64_t kDefaultGrams = 1u << 20;
constexpr std::uint64_t kMaxCount = 1u << 23;
constexpr std::size_t kMaxDefinitions = 1024;

const std::map<std::string_view, Op>& number_functions() {
  static const std::map<std::string_view, Op> functions = {
      {"abs", Op::abs}, {"exp", Op::exp}, {"log", Op::log}, {"log1p", Op::log1p}, {"sqrt", Op::sqrt}};
  return functions;
}

std::optional<DatePart> date_function(std::string_view name) {
  static const std::map<std::string_view, DatePart> parts = {{"year", DatePart::year},
                                                             {"month", DatePart::month},
                                                             {"day", DatePart::day},
                                                             {"weekday", DatePart::weekday},
                                                             {"hour", DatePart::hour}};
  const auto found = parts.find(name);
  return found == parts.end() ? std::nullopt : std::optional(found->second);
}

bool takes_text(const std::string& function) {
  return function == "words" || function == "chars" || date_function(function).has_value();
}

/// The types that the uses of the columns imply. A column alone in onehot() or cross() is text unless it is a number
/// elsewhere, one alone in missing() is a number unless it is text elsewhere.
class ColumnTypes {
 public:
  Status visit(std::string_view expression, const Syntax& node) {
    if (node.kind == Syntax::Kind::name) return decide(expression, node, FieldType::number);
    const bool open =
        node.kind == Syntax::Kind::call && (node.name == "onehot" || node.name == "cross" || node.name == "missing");
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const Syntax& child = node.children[i];
      if (child.kind == Syntax::Kind::name && open) {
        (node.name == "missing" ? later_ : soon_).push_back(child.name);
      } else if (child.kind == Syntax::Kind::name && i == 0 && node.kind == Syntax::Kind::call &&
                 takes_text(node.name)) {
        RETURN_IF_ERROR(decide(expression, child, FieldType::text));
      } else {
        RETURN_IF_ERROR(visit(expression, child));
      }
    }
    return {};
  }

  std::vector<Field> finish() {
    for (const std::string& name : soon_) types_.emplace(name, FieldType::text);
    for (const std::string& name : later_) types_.emplace(name, FieldType::number);
    std::vector<Field> fields;
    for (const auto& [name, type] : types_) fields.push_back({name, type});
    return fields;
  }

 private:
  Status decide(std::string_view expression, const Syntax& node, FieldType type) {
    const auto [place, added] = types_.emplace(node.name, type);
    if (added || place->second == type) return {};
    return expression_error(expression, node.at,
                            "column \"" + node.name + "\" is used as a " + std::string(field_type_name(type)) +
                                " here and as a " + std::string(field_type_name(place->second)) + " elsewhere");
  }

  std::map<std::string, FieldType> types_;
  std::vector<std::string> soon_;
  std::vector<std::string> later_;
};

/// What an expression gives: a number, a category or n-grams, the latter two perhaps times a number.
struct Term {
  PlanOutput::Kind kind = PlanOutput::Kind::number;
  std::uint32_t step = 0;
  std::uint32_t scale = kNone;
};

class Planner {
 public:
  Planner(Plan& plan, std::string_view expression) : plan_(plan), text_(expression) {}

  Result<Term> term(const Syntax& node) {
    switch (node.kind) {
      case Syntax::Kind::number: return number_term({.op = Op::constant, .x = node.number});
      case Syntax::Kind::name: return number_term({.op = Op::input, .a = input(node.name)});
      case Syntax::Kind::negate: {
        ASSIGN_OR_RETURN(const std::uint32_t inner, number(node.children[0]));
        return number_term({.op = Op::negate, .a = inner});
      }
      case Syntax::Kind::operation: return operation(node);
      case Syntax::Kind::call: return call(node);
    }
    return internal_error("unknown kind of expression");
  }

 private:
  Status wrong(std::size_t at, const std::string& message) const { return expression_error(text_, at, message); }

  std::uint32_t input(const std::string& name) const {
    const auto at = std::lower_bound(plan_.inputs.begin(), plan_.inputs.end(), name,
                                     [](const Field& field, const std::string& wanted) { return field.name < wanted; });
    return static_cast<std::uint32_t>(at - plan_.inputs.begin());
  }

  /// The step's number; a step that is there already is not repeated.
  std::uint32_t add(Step step) {
    const bool binary = (step.op >= Op::add && step.op <= Op::power) || step.op == Op::min || step.op == Op::max ||
                        step.op == Op::cross;
    if (step.op != Op::constant && step.op != Op::input && !reads_text_input(step.op)) {
      step.wave = plan_.steps[step.a].ready;
      if (binary) step.wave = std::max(step.wave, plan_.steps[step.b].ready);
    }
    step.ready = step.wave + (step.learns == Learns::nothing ? 0 : 1);
    const auto found = std::find(plan_.steps.begin(), plan_.steps.end(), step);
    const auto place = static_cast<std::uint32_t>(found - plan_.steps.begin());
    if (found == plan_.steps.end()) plan_.steps.push_back(std::move(step));
    return place;
  }
  Term number_term(Step step) { return {PlanOutput::Kind::number, add(std::move(step)), kNone}; }

  Result<std::uint32_t> number(const Syntax& node) {
    ASSIGN_OR_RETURN(const Term inner, term(node));
    if (inner.kind != PlanOutput::Kind::number)
      return wrong(node.at, "expected a number here, not categories or n-grams");
    return inner.step;
  }

  Result<Term> operation(const Syntax& node) {
    ASSIGN_OR_RETURN(Term left, term(node.children[0]));
    ASSIGN_OR_RETURN(Term right, term(node.children[1]));
    const bool left_number = left.kind == PlanOutput::Kind::number;
    const bool right_number = right.kind == PlanOutput::Kind::number;
    if (left_number && right_number) {
      const Op op = node.operation == '+'   ? Op::add
                    : node.operation == '-' ? Op::subtract
                    : node.operation == '*' ? Op::multiply
                    : node.operation == '/' ? Op::divide
                                            : Op::power;
      return number_term({.op = op, .a = left.step, .b = right.step});
    }
    if (node.operation != '*') {
      return wrong(node.at, std::string("categories and n-grams can't stand beside ") + node.operation +
                                ", only be multiplied by a number");
    }
    if (!left_number && !right_number) {
      return wrong(node.at, "two lists of features can't be multiplied; cross() makes pairs of categories");
    }
    if (left_number) std::swap(left, right);
    left.scale = left.scale == kNone ? right.step : add({.op = Op::multiply, .a = left.scale, .b = right.step});
    return left;
  }

  Result<Term> call(const Syntax& node) {
    if (const auto found = number_functions().find(node.name); found != number_functions().end()) {
      ASSIGN_OR_RETURN(const std::uint32_t inner, number(node.children[0]));
      return number_term({.op = found->second, .a = inner});
    }
    if (const auto part = date_function(node.name)) {
      ASSIGN_OR_RETURN(const std::uint32_t from, column(node));
      return number_term({.op = Op::date, .a = from, .b = static_cast<std::uint32_t>(*part)});
    }
    if (node.name == "min" || node.name == "max") return smallest_or_largest(node);
    if (node.name == "fill") return fill(node);
    if (node.name == "missing") return missing(node);
    if (node.name == "standardise") {
      ASSIGN_OR_RETURN(const std::uint32_t inner, number(node.children[0]));
      return number_term({.op = Op::standardise, .a = inner, .learns = Learns::scale});
    }
    if (node.name == "buckets") return buckets(node);
    if (node.name == "onehot") return onehot(node);
    if (node.name == "cross") return cross(node);
    return grams(node);
  }

  /// The text column that is the first argument.
  Result<std::uint32_t> column(const Syntax& node) {
    const Syntax& child = node.children[0];
    if (child.kind != Syntax::Kind::name) return wrong(child.at, node.name + "() takes a text column here");
    return input(child.name);
  }

  Result<Term> smallest_or_largest(const Syntax& node) {
    ASSIGN_OR_RETURN(std::uint32_t so_far, number(node.children[0]));
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      ASSIGN_OR_RETURN(const std::uint32_t next, number(node.children[i]));
      so_far = add({.op = node.name == "min" ? Op::min : Op::max, .a = so_far, .b = next});
    }
    return Term{PlanOutput::Kind::number, so_far, kNone};
  }

  Result<Term> fill(const Syntax& node) {
    ASSIGN_OR_RETURN(const std::uint32_t inner, number(node.children[0]));
    if (node.options.size() + node.children.size() > 2) {
      return wrong(node.at, "fill() takes one of a number, mean and median");
    }
    Step step{.op = Op::fill, .a = inner, .learns = Learns::mean};
    if (node.children.size() == 2) {
      if (node.children[1].kind != Syntax::Kind::number)
        return wrong(node.children[1].at, "expected a number, mean or median");
      step.x = node.children[1].number;
      step.learns = Learns::nothing;
    } else if (!node.options.empty() && node.options[0].name == "median") {
      step.learns = Learns::median;
    }
    return number_term(std::move(step));
  }

  Result<Term> missing(const Syntax& node) {
    const Syntax& child = node.children[0];
    if (child.kind == Syntax::Kind::name && plan_.inputs[input(child.name)].type == FieldType::text) {
      return number_term({.op = Op::missing_text, .a = input(child.name)});
    }
    ASSIGN_OR_RETURN(const std::uint32_t inner, number(child));
    return number_term({.op = Op::missing, .a = inner});
  }

  Result<Term> buckets(const Syntax& node) {
    ASSIGN_OR_RETURN(const std::uint32_t inner, number(node.children[0]));
    Step step{.op = Op::buckets, .a = inner};
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      const Syntax& edge = node.children[i];
      if (edge.kind != Syntax::Kind::number) return wrong(edge.at, "expected a number");
      if (!step.edges.empty() && edge.number <= step.edges.back()) return wrong(edge.at, "edges must ascend");
      step.edges.push_back(edge.number);
    }
    if (step.edges.size() == 1) {
      const double count = step.edges[0];
      if (count != std::floor(count) || count < 2 || count > 256) {
        return wrong(node.children[1].at,
                     "the number of buckets is a whole number from 2 to 256; give two edges or more for fixed ones");
      }
      step.edges.clear();
      step.quantiles = static_cast<std::uint32_t>(count);
      step.learns = Learns::quantiles;
    } else {
      // Given edges learn nothing, but go the same way into the program.
      step.learns = Learns::quantiles;
    }
    return Term{PlanOutput::Kind::category, add(std::move(step)), kNone};
  }

  Result<Term> onehot(const Syntax& node) {
    ASSIGN_OR_RETURN(Step step, categories(node.children[0]));
    step.max = kDefaultCategories;
    RETURN_IF_ERROR(limits(node, step));
    return Term{PlanOutput::Kind::category, add(std::move(step)), kNone};
  }

  /// A dictionary of a column or a number.
  Result<Step> categories(const Syntax& node) {
    if (node.kind == Syntax::Kind::name && plan_.inputs[input(node.name)].type == FieldType::text) {
      return Step{.op = Op::category_text, .a = input(node.name), .learns = Learns::texts, .max = kDefaultCategories};
    }
    ASSIGN_OR_RETURN(const std::uint32_t inner, number(node));
    return Step{.op = Op::category_number, .a = inner, .learns = Learns::numbers, .max = kDefaultCategories};
  }

  Result<std::uint32_t> category(const Syntax& node) {
    const bool made =
        node.kind == Syntax::Kind::call && (node.name == "onehot" || node.name == "buckets" || node.name == "cross");
    if (made) {
      ASSIGN_OR_RETURN(const Term inner, term(node));
      return inner.step;
    }
    if (node.kind == Syntax::Kind::call && (node.name == "words" || node.name == "chars")) {
      return wrong(node.at, "n-grams can't be crossed");
    }
    ASSIGN_OR_RETURN(Step step, categories(node));
    return add(std::move(step));
  }

  Result<Term> cross(const Syntax& node) {
    ASSIGN_OR_RETURN(std::uint32_t so_far, category(node.children[0]));
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      ASSIGN_OR_RETURN(const std::uint32_t next, category(node.children[i]));
      Step step{.op = Op::cross, .a = so_far, .b = next, .learns = Learns::pairs, .max = 10 * kDefaultCategories};
      RETURN_IF_ERROR(limits(node, step));
      so_far = add(std::move(step));
    }
    return Term{PlanOutput::Kind::category, so_far, kNone};
  }

  Status limits(const Syntax& node, Step& step) {
    for (const Syntax::Option& option : node.options) {
      if (option.name != "min_rows" && option.name != "max") continue;
      if (!option.is_number || option.number != std::floor(option.number) || option.number < 1 ||
          option.number > static_cast<double>(kMaxCount)) {
        return wrong(option.at, option.name + " is a whole number from 1 to " + std::to_string(kMaxCount));
      }
      (option.name == "max" ? step.max : step.min_rows) = static_cast<std::uint64_t>(option.number);
    }
    return {};
  }

  Result<Term> grams(const Syntax& node) {
    const bool words = node.name == "words";
    Step step{
        .op = words ? Op::emit_words : Op::emit_chars, .learns = Learns::grams, .min_rows = 2, .max = kDefaultGrams};
    ASSIGN_OR_RETURN(step.a, column(node));
    RETURN_IF_ERROR(gram_lengths(node, words ? kMaxWordGram : kMaxCharGram, step.grams));
    RETURN_IF_ERROR(limits(node, step));
    std::string weights;
    for (const Syntax::Option& option : node.options) {
      if (option.name == "sublinear") step.grams.flags |= kSublinear;
      if (option.name == "across") step.grams.flags |= kAcross;
      if (option.name == "weights") {
        weights = option.word;
        if (weights != "tfidf" && weights != "tf" && weights != "binary") {
          return wrong(option.at, "weights is one of tfidf, tf, binary");
        }
      }
      if (option.name != "hash") continue;
      if (!option.is_number || option.number != std::floor(option.number) || option.number < 1 ||
          option.number > kMaxHashBits) {
        return wrong(option.at, "hash is a whole number of bits from 1 to " + std::to_string(kMaxHashBits));
      }
      step.grams.flags |= kHashed;
      step.grams.bits = static_cast<std::uint32_t>(option.number);
    }
    const bool hashed = step.grams.flags & kHashed;
    for (const Syntax::Option& option : node.options) {
      if (hashed && (option.name == "min_rows" || option.name == "max")) {
        return wrong(option.at, option.name + " belongs to a vocabulary and can't stand beside hash");
      }
    }
    if (weights.empty()) weights = hashed ? "tf" : "tfidf";
    if (weights == "tfidf") step.grams.flags |= kIdf;
    if (weights == "binary") step.grams.flags |= kBinary;
    return Term{PlanOutput::Kind::grams, add(std::move(step)), kNone};
  }

  Status gram_lengths(const Syntax& node, std::uint32_t longest, GramHead& head) {
    head.low = head.high = 1;
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      const Syntax& child = node.children[i];
      const double n = child.number;
      if (child.kind != Syntax::Kind::number || n != std::floor(n) || n < 1 || n > longest) {
        return wrong(child.at, "the length of an n-gram is a whole number from 1 to " + std::to_string(longest));
      }
      if (n < head.low && i == 2) return wrong(child.at, "the longest n-gram is shorter than the shortest");
      head.high = static_cast<std::uint16_t>(n);
      if (i == 1) head.low = head.high;
    }
    return {};
  }

  Plan& plan_;
  std::string_view text_;
};

}  // namespace

bool Step::operator==(const Step& other) const {
  return op == other.op && a == other.a && b == other.b && x == other.x && std::signbit(x) == std::signbit(other.x) &&
         learns == other.learns && quantiles == other.quantiles && edges == other.edges && min_rows == other.min_rows &&
         max == other.max && grams.low == other.grams.low && grams.high == other.grams.high &&
         grams.flags == other.grams.flags && grams.bits == other.grams.bits;
}

Result<Plan> make_plan(const std::vector<FeatureDefinition>& definitions) {
  if (definitions.empty()) return invalid_argument("features: there is none");
  if (definitions.size() > kMaxDefinitions) return invalid_argument("features: more than 1024 definitions");
  std::vector<Syntax> trees;
  ColumnTypes types;
  for (const FeatureDefinition& definition : definitions) {
    const std::string place = "features." + definition.name;
    auto tree = parse_expression(definition.expression);
    if (!tree.ok()) return tree.status().at(place);
    if (Status status = types.visit(definition.expression, *tree); !status.ok()) return status.at(place);
    trees.push_back(*std::move(tree));
  }
  Plan plan;
  plan.inputs = types.finish();
  if (plan.inputs.size() > kMaxProgramInputs) {
    return invalid_argument("features: more than " + std::to_string(kMaxProgramInputs) + " columns");
  }
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    auto term = Planner(plan, definitions[i].expression).term(trees[i]);
    if (!term.ok()) return term.status().at("features." + definitions[i].name);
    plan.outputs.push_back({definitions[i].name, term->kind, term->step, term->scale});
    if (plan.steps.size() + plan.outputs.size() > kMaxProgramInstructions) {
      return invalid_argument("features: more than " + std::to_string(kMaxProgramInstructions) + " steps in all");
    }
  }
  return plan;
}

}  // namespace espalier::model
