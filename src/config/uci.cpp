// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/uci.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>

#include "os/read_file.hpp"

namespace wgsteer::config {

namespace {

/// isspace() of the C locale.
bool isBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool isNameLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool isName(std::string_view text) { return std::ranges::all_of(text, isNameLetter); }
bool isPackageName(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return isNameLetter(c) || c == '-'; });
}
bool isType(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '!' && c <= '~'; });
}

constexpr std::size_t kKeyRoom = 64;

/// What libuci sees of text that contains NUL: it reads with fgets(3) into a buffer that doubles from 32 bytes on, and
/// relies on strlen(3). The next line, or what did not fit into the buffer, is placed where the NUL was; a line ends at
/// the NUL if nothing was read before it. A quotation or a backslash that continues a line continues the buffer.
class LibuciLines {
 public:
  explicit LibuciLines(std::string_view text) : text_(text) { seen_.reserve(text.size()); }
  ~LibuciLines() { os::wipe(seen_); }
  LibuciLines(const LibuciLines&) = delete;
  LibuciLines& operator=(const LibuciLines&) = delete;

  bool atEnd() const { return text_.empty(); }
  /// Everything seen so far; it never moves.
  std::string_view seen() const { return seen_; }

  /// Reads into the buffer from `filled` on.
  void next(std::size_t filled) {
    if (filled >= room_ - 1) room_ *= 2;
    for (; !text_.empty(); room_ *= 2) {
      std::string_view chunk = text_.substr(0, room_ - filled - 1);
      if (const auto end = chunk.find('\n'); end != std::string_view::npos) chunk = chunk.substr(0, end + 1);
      text_.remove_prefix(chunk.size());
      const std::string_view visible = chunk.substr(0, chunk.find('\0'));
      seen_ += visible;
      filled += visible.size();
      if (visible.empty()) seen_ += '\0';
      if (visible.empty() || visible.ends_with('\n')) return;
    }
  }

 private:
  std::string_view text_;  ///< what has not been read yet
  std::string seen_;
  std::size_t room_ = 32;
};

/// The words of the text. A line ends where the physical line does, unless a quotation or a backslash continues it.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {
    if (text.find('\0') == std::string_view::npos) return;
    lines_.emplace(text);
    text_ = lines_->seen();
  }

  bool atEnd() const { return lines_ ? lines_->atEnd() : end_ == text_.size(); }
  unsigned line() const { return line_; }

  void nextLine() { readLine(0); }

  /// The rest of the line, without the NUL that may end it.
  std::string_view rest() const {
    if (cut_) return {};
    std::string_view left = text_.substr(pos_, end_ - pos_);
    if (left.ends_with('\0')) left.remove_suffix(1);
    return left;
  }

  void skipBlanks() {
    while (isBlank(current())) ++pos_;
  }

  /// The first word of a command: only blanks and tabs end it, and quotation marks have no meaning. Empty at the end
  /// and before a comment.
  std::string_view keyword() {
    while (current() == ' ' || current() == '\t') ++pos_;
    const std::string_view left = rest();
    if (left.starts_with('#')) return {};
    const std::string_view word = left.substr(0, left.find_first_of(" \t"));
    pos_ += word.size();
    return word;
  }
  bool atLineEnd() const { return current() == '\0'; }

  /// The next argument; empty if there is none. nullopt if a quotation is not closed.
  std::optional<std::string> argument() {
    skipBlanks();
    if (current() == ';') {
      ++pos_;
      return std::string{};
    }
    std::string word;
    // Growing would leave parts of a key behind in freed memory.
    word.reserve(kKeyRoom);
    bool quoted = false;
    for (;;) {
      const char c = current();
      if (c == '\0' || isBlank(c)) break;
      if (c == '#') {
        cut_ = true;
        break;
      }
      if (c == ';') {
        // libuci terminates the word in place: after quotation marks there is room for that; otherwise it overwrites
        // the ';' and never reaches the rest.
        cut_ = !quoted;
        return word;
      }
      if (c == '\'' || c == '"') {
        quoted = true;
        if (!quotation(word)) return std::nullopt;
      } else if (c == '\\') {
        // A backslash leaves the same room.
        quoted = true;
        if (escaped()) take(word);
      } else {
        take(word);
      }
    }
    if (current() != '\0') ++pos_;
    return word;
  }

 private:
  /// `filled`: how much libuci's buffer already holds.
  void readLine(std::size_t filled) {
    filled_ = filled;
    pos_ = start_ = end_;
    if (lines_) {
      lines_->next(filled);
      text_ = lines_->seen();
      end_ = text_.size();
    } else {
      const auto newLine = text_.find('\n', pos_);
      end_ = newLine == std::string_view::npos ? text_.size() : newLine + 1;
    }
    // At the end of the text there is no further line.
    if (pos_ < end_) ++line_;
    cut_ = false;
  }
  void goOn() { readLine(filled_ + (pos_ - start_)); }

  /// NUL: the end of the line.
  char current() const { return cut_ || pos_ == end_ ? '\0' : text_[pos_]; }
  void take(std::string& word) {
    if (current() != '\0') word += text_[pos_++];
  }

  bool quotation(std::string& word) {
    const char mark = text_[pos_++];
    for (;;) {
      const char c = current();
      if (c == mark) {
        ++pos_;
        return true;
      }
      if (c == '\0') {
        goOn();
        if (current() == '\0') return false;
      } else if (c != '\\' || mark == '\'' || escaped()) {
        take(word);
      }
    }
  }

  /// After a backslash: whether a character follows; otherwise the line continues on the next one.
  bool escaped() {
    ++pos_;
    const std::string_view left = rest();
    if (!left.empty() && left != "\n" && left != "\r\n") return true;
    goOn();
    return false;
  }

  std::string_view text_;
  std::optional<LibuciLines> lines_;  ///< for text that contains NUL
  std::size_t filled_ = 0;            ///< how much of the buffer was filled at the start of the line
  std::size_t start_ = 0;
  std::size_t pos_ = 0;
  std::size_t end_ = 0;
  unsigned line_ = 0;
  bool cut_ = false;
};

class UciReader {
 public:
  UciReader(std::string_view text, Problems& problems, std::span<const std::string_view> wanted)
      : words_(text), problems_(problems), wanted_(wanted) {}
  UciReader(const UciReader&) = delete;
  UciReader& operator=(const UciReader&) = delete;

  Sections run() {
    while (!words_.atEnd()) {
      words_.nextLine();
      words_.skipBlanks();
      while (command()) {
      }
    }
    return std::move(sections_);
  }

 private:
  /// False when there are no more commands on the line.
  bool command();
  bool config();
  bool option(bool list);
  bool package();
  /// The rest of the line is skipped.
  bool refuse(std::string what) { return refuse(words_.line(), std::move(what)); }
  bool refuse(unsigned line, std::string what);
  bool refuseUnclosed() { return refuse(startLine_, "unterminated quotation starts here"); }
  /// Complains about extra words; false if the text ended in the middle of one.
  bool expectEnd();
  Section& current() { return sections_[*current_]; }
  void set(Option* known, std::string name, std::string value);
  void append(Option* known, std::string name, std::string value);
  Option* known(const std::string& name);
  Option& add(std::string name, bool list);
  std::string keyOf(const std::string& name) const { return std::to_string(*current_) + ' ' + name; }

  Words words_;
  Problems& problems_;
  std::span<const std::string_view> wanted_;  ///< all if empty
  std::size_t refused_ = 0;
  unsigned startLine_ = 0;  ///< of the command
  Sections sections_;
  std::optional<std::size_t> current_;
  // By name, so that a hostile file costs no more than its size.
  std::unordered_map<std::string, std::size_t> sectionsByName_;
  std::unordered_map<std::string, std::size_t> optionsByName_;
};

bool UciReader::refuse(unsigned line, std::string what) {
  // More than anybody reads; a file full of garbage must not use up memory.
  constexpr std::size_t kMaxRefused = 100;
  if (refused_++ < kMaxRefused) problems_.add(line, {}, std::move(what));
  return false;
}

bool UciReader::command() {
  const std::string_view word = words_.keyword();
  startLine_ = words_.line();
  if (word.empty()) return false;
  const bool known = word == "config" || word == "c" || word == "option" || word == "o" || word == "list" ||
                     word == "l" || word == "package" || word == "p";
  if (!known) return refuse("invalid command, allowed: config, option, list");
  if (words_.atLineEnd()) return refuse("insufficient arguments");
  switch (word.front()) {
    case 'c':
      return config();
    case 'p':
      return package();
    default:
      return option(word.front() == 'l');
  }
}

bool UciReader::expectEnd() {
  const auto more = words_.argument();
  if (!more) return refuseUnclosed();
  if (!more->empty()) refuse(startLine_, "too many arguments; quote values that contain spaces");
  return true;
}

bool UciReader::package() {
  const auto name = words_.argument();
  if (!name) return refuseUnclosed();
  if (name->empty()) return refuse("insufficient arguments");
  if (!isPackageName(*name)) return refuse("invalid character in name field");
  return expectEnd();
}

bool UciReader::config() {
  auto type = words_.argument();
  if (!type) return refuseUnclosed();
  if (type->empty()) return refuse("insufficient arguments: a section needs a type");
  if (!isType(*type)) return refuse("invalid character in type field");
  auto name = words_.argument();
  if (!name) return refuseUnclosed();
  if (!isName(*name)) return refuse("invalid character in name field, allowed: letters, digits, '_'");
  if (!expectEnd()) return false;
  if (!name->empty()) {
    const auto [known, fresh] = sectionsByName_.emplace(*name, sections_.size());
    if (!fresh) {
      Section& section = sections_[known->second];
      if (section.type != *type)
        refuse(startLine_, "section of different type overwrites prior section with same name, on line " +
                               std::to_string(section.line));
      section.type = std::move(*type);
      current_ = known->second;
      return true;
    }
  }
  Section section{.type = std::move(*type), .name = {}, .line = startLine_, .options = {}};
  if (!name->empty()) section.name = std::move(*name);
  current_ = sections_.size();
  sections_.push_back(std::move(section));
  return true;
}

bool UciReader::option(bool list) {
  if (!current_) return refuse("option/list command found before the first section");
  auto name = words_.argument();
  if (!name) return refuseUnclosed();
  if (name->empty()) return refuse("insufficient arguments: an option needs a name");
  if (!isName(*name)) return refuse("invalid character in name field, allowed: letters, digits, '_'");
  auto value = words_.argument();
  if (!value) return refuseUnclosed();
  if (!expectEnd()) return false;
  if (!wanted_.empty() && std::ranges::find(wanted_, *name) == wanted_.end()) {
    os::wipe(*value);
    return true;
  }
  Option* before = known(*name);
  if (list)
    append(before, std::move(*name), std::move(*value));
  else if (!value->empty())
    set(before, std::move(*name), std::move(*value));
  return true;
}

Option* UciReader::known(const std::string& name) {
  const auto found = optionsByName_.find(keyOf(name));
  return found == optionsByName_.end() ? nullptr : &current().options[found->second];
}

Option& UciReader::add(std::string name, bool list) {
  optionsByName_.emplace(keyOf(name), current().options.size());
  return current().options.emplace_back(
      Option{.name = std::move(name), .values = {}, .list = list, .line = startLine_});
}

void UciReader::set(Option* known, std::string name, std::string value) {
  Option& option = known != nullptr ? *known : add(std::move(name), false);
  option.values.assign(1, {ValueType::untyped, std::move(value), startLine_});
  option.list = false;
  option.line = startLine_;
}

void UciReader::append(Option* known, std::string name, std::string value) {
  Option& option = known != nullptr ? *known : add(std::move(name), true);
  option.values.push_back({ValueType::untyped, std::move(value), startLine_});
  option.list = true;
}

}  // namespace

Sections readUci(std::string_view text, Problems& problems) { return UciReader{text, problems, {}}.run(); }

Sections readUci(std::string_view text, Problems& problems, std::span<const std::string_view> wanted) {
  return UciReader{text, problems, wanted}.run();
}

bool looksLikeUci(std::string_view text) {
  Words words{text};
  while (!words.atEnd()) {
    words.nextLine();
    words.skipBlanks();
    const std::string_view word = words.keyword();
    if (word.empty()) continue;
    words.skipBlanks();
    return (word == "config" || word == "package") && !words.rest().starts_with('=');
  }
  return false;
}

}  // namespace wgsteer::config
