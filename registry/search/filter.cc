#include "registry/search/filter.h"

#include <algorithm>

namespace espalier::registry::search {
namespace {

std::size_t character_bytes(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) ++size;
  return size;
}

template <class T>
bool compare(Relation relation, const T& value, const T& literal) {
  switch (relation) {
    case Relation::less: return value < literal;
    case Relation::less_equal: return value <= literal;
    case Relation::greater: return value > literal;
    case Relation::greater_equal: return value >= literal;
    default: return value == literal;
  }
}

/// Of two values of which neither is missing.
bool holds_of(Relation relation, const Value& value, const Value& literal) {
  if (value.index() != literal.index()) return false;
  if (const double* number = std::get_if<double>(&value)) {
    return compare(relation, *number, std::get<double>(literal));
  }
  const std::string& text = std::get<std::string>(value);
  const std::string& wanted = std::get<std::string>(literal);
  if (relation == Relation::like) return is_like(text, wanted);
  if (relation == Relation::under) return is_under(text, wanted);
  return compare(relation, text, wanted);
}

/// At the worst, in steps of a search.
std::size_t like_cost(const Value& value, const Value& pattern) {
  constexpr std::size_t kComparesInStep = 512;
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? 0 : text->size() * std::get<std::string>(pattern).size() / kComparesInStep;
}

}  // namespace

// The last % is where a mismatch goes back to: no more than size(text) * size(pattern) steps.
bool is_like(std::string_view text, std::string_view pattern) {
  std::size_t t = 0, p = 0, restart_text = 0, restart_pattern = std::string_view::npos;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      restart_pattern = ++p;
      restart_text = t;
      continue;
    }
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p < pattern.size() && pattern[p] == '_') {
      t += character_bytes(text.substr(t));
      ++p;
    } else if (p < pattern.size() && pattern[p + (escaped ? 1 : 0)] == text[t]) {
      ++t;
      p += escaped ? 2 : 1;
    } else if (restart_pattern != std::string_view::npos) {
      restart_text += character_bytes(text.substr(restart_text));
      t = restart_text;
      p = restart_pattern;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

bool is_under(std::string_view text, std::string_view root) {
  return root.empty() || (text.starts_with(root) && (text.size() == root.size() || text[root.size()] == '/'));
}

Result<bool> Test::holds(const Item& item) const {
  if (field.field->type == Type::tag) {
    for (const Value& literal : literals) {
      ASSIGN_OR_RETURN(const Value answer, field.field->read(item, std::get<std::string>(literal)));
      if (!is_missing(answer)) return !negated;
    }
    return negated;
  }
  ASSIGN_OR_RETURN(const Value value, field.read(item));
  if (relation == Relation::missing) return is_missing(value) != negated;
  if (relation == Relation::like && !is_missing(value)) item.steps += like_cost(value, literals.front());
  const auto passes = [&](const Value& literal) { return holds_of(relation, value, literal); };
  return (!is_missing(value) && std::ranges::any_of(literals, passes)) != negated;
}

Result<bool> Filter::matches(const Item& item) const {
  if (nodes_.empty()) return true;
  return matches(nodes_[root_], item);
}

Result<bool> Filter::matches(const Node& node, const Item& item) const {
  if (node.kind == Kind::test) return node.test.holds(item);
  if (node.kind == Kind::negation) {
    ASSIGN_OR_RETURN(const bool passes, matches(nodes_[node.operands[0]], item));
    return !passes;
  }
  const bool decides = node.kind == Kind::any_of;
  for (const std::size_t operand : node.operands) {
    ASSIGN_OR_RETURN(const bool passes, matches(nodes_[operand], item));
    if (passes == decides) return decides;
  }
  return !decides;
}

std::vector<const Test*> Filter::conjuncts() const {
  std::vector<const Test*> tests;
  if (nodes_.empty()) return tests;
  std::vector<std::size_t> open = {root_};
  while (!open.empty()) {
    const Node& node = nodes_[open.back()];
    open.pop_back();
    if (node.kind == Kind::test) tests.push_back(&node.test);
    if (node.kind == Kind::all_of) open.insert(open.end(), node.operands.begin(), node.operands.end());
  }
  return tests;
}

}  // namespace espalier::registry::search
