#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string>

#include "cli/commands.h"
#include "cli/csv_writer.h"
#include "cli/output.h"
#include "cli/serving/file_scorer.h"
#include "common/files.h"

namespace espalier::cli {
namespace {

constexpr const char* kColumns[] = {"prediction", "probability", "status", "message",       "asked",
                                    "served",     "level",       "reason", "version",       "tag",
                                    "release",    "epoch",       "shard",  "prediction_id", "attempt"};

std::string exact_text(double number) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return {text, end};
}

std::string partition_cell(const std::vector<std::string>& values) {
  auto partition = model::Partition::from_values(values);
  return partition.ok() ? partition->text() : "";
}

void append_answer(std::string& line, const RowAnswer& answer, bool regression) {
  const wire::Provenance& from = answer.part->provenance;
  const auto add = [&](std::string_view cell) {
    line += ',';
    append_csv_cell(line, cell);
  };
  const bool ok = answer.ok();
  add(!ok ? "" : regression ? exact_text(answer.value()) : answer.label());
  add(!ok || regression ? "" : exact_text(answer.probability()));
  add(code_name(answer.part->status.code()));
  add(answer.part->status.message());
  add(ok ? partition_cell(from.asked) : "");
  add(ok ? partition_cell(from.served) : "");
  add(from.level);
  add(ok ? wire::reason_name(from.reason) : "");
  add(ok ? from.version.text() : "");
  add(from.tag);
  add(ok && !from.release.is_nil() ? from.release.text() : "");
  add(ok ? std::to_string(from.epoch) : "");
  add(from.shard);
  add(ok ? from.prediction.text() : "");
  add(ok ? std::to_string(from.attempt) : "");
}

std::string header_line(const FileScorer& scorer) {
  std::string line;
  for (const std::string& column : scorer.columns()) {
    if (!line.empty()) line += ',';
    append_csv_cell(line, column);
  }
  // A column of the file that has such a name already keeps it; ours are told apart by their place at the end.
  for (const char* column : kColumns) line += std::string(",") + column;
  return line + "\n";
}

struct WrittenBatch {
  std::uint64_t rows = 0, failed = 0;
  std::string first_failure;
};

Status write_all(FileScorer& scorer, std::FILE* out, const BatchOptions& options, WrittenBatch& written) {
  const bool regression = scorer.spec().task == model::Task::regression;
  std::string lines = header_line(scorer);
  const auto flush = [&] {
    const bool ok = std::fwrite(lines.data(), 1, lines.size(), out) == lines.size();
    lines.clear();
    return ok ? Status() : unavailable(options.out + ": " + system_error_text());
  };
  RETURN_IF_ERROR(scorer.run([&](const data::Frame& frame, std::size_t row, const RowAnswer& answer) {
    bool first = true;
    for (const std::string& column : scorer.columns()) {
      if (!first) lines += ',';
      first = false;
      append_csv_cell(lines, frame.columns()[*frame.find({column, model::FieldType::text})].texts[row]);
    }
    append_answer(lines, answer, regression);
    lines += '\n';
    ++written.rows;
    if (!answer.ok() && written.failed++ == 0)
      written.first_failure = options.in + ":" + std::to_string(frame.line(row)) + ": " + answer.part->status.message();
    return lines.size() < (1u << 16) ? Status() : flush();
  }));
  return flush();
}

}  // namespace

Status run_batch(const BatchOptions& options, const Shared& shared) {
  FileScorer::Options scoring;
  scoring.model = options.model;
  scoring.path = options.in;
  scoring.where = options.where;
  scoring.tenant_column = options.tenant_column;
  scoring.ref = options.ref;
  scoring.all_columns = true;
  const bool to_stdout = options.out == "-";
  std::error_code unknown;
  if (!to_stdout && std::filesystem::equivalent(options.in, options.out, unknown)) {
    return invalid_argument("--out " + options.out + ": is the file that is read");
  }
  ASSIGN_OR_RETURN(auto scorer, FileScorer::open(scoring, shared));

  // A file is written beside its place and moved there when it is whole; a pipe or a device is written to.
  const bool in_place = to_stdout || (std::filesystem::exists(options.out, unknown) &&
                                      !std::filesystem::is_regular_file(options.out, unknown));
  const std::string path = in_place ? options.out : options.out + ".partial";
  std::FILE* out = to_stdout ? stdout : std::fopen(path.c_str(), "wb");
  if (out == nullptr) return unavailable(path + ": " + system_error_text());
  WrittenBatch written;
  Status status = write_all(*scorer, out, options, written);
  if ((to_stdout ? std::fflush(out) : std::fclose(out)) != 0 && status.ok())
    status = unavailable(options.out + ": " + system_error_text());
  if (!in_place) {
    if (!status.ok()) {
      (void)Files::system().remove(path);
      return status;
    }
    RETURN_IF_ERROR(Files::system().rename(path, options.out));
  }
  RETURN_IF_ERROR(status);
  if (!to_stdout) {
    print_line(shared.json
                   ? "{\"rows\":" + std::to_string(written.rows) + ",\"failed\":" + std::to_string(written.failed) + "}"
                   : options.out + ": " + count_text(written.rows) + " rows");
  }
  if (written.failed > 0)
    return Status(Code::failed_precondition,
                  count_text(written.failed) + " rows were not answered; the first: " + written.first_failure);
  return Status();
}

}  // namespace espalier::cli
