internal import GuardCore

/// Patterns that are a little looser than a given one, to see whether the tests of its rule would notice.
///
/// PCRE2 syntax is read as far as a cut needs it: escapes, `\Q..\E`, classes, groups, comments. What is not understood is
/// left alone; a mutant that does not compile is dropped by whoever compiles it.
struct PatternMutation: Hashable {
    /// `\b left out`.
    var change: String
    /// Of what is changed: Unicode scalars from the pattern's start.
    var offset: Int
    var source: String

    /// - Parameter isCaseless: whether the pattern matches in any case as it is.
    static func all(of source: String, isCaseless: Bool) -> [PatternMutation] {
        var scanner = Scanner(Array(source.unicodeScalars))
        scanner.scan()
        var mutations = scanner.mutations
        if !isCaseless, !source.contains("(?i") {
            mutations.append(PatternMutation(change: "also in any case", offset: 0, source: "(?i)" + source))
        }
        return mutations
    }

    private struct Scanner {
        let source: [Unicode.Scalar]
        var mutations: [PatternMutation] = []
        private var at = 0
        /// Starts of the open groups that are look-arounds (`nil`: others).
        private var groups: [Int?] = []

        init(_ source: [Unicode.Scalar]) { self.source = source }

        private func text(_ range: Range<Int>) -> String {
            var text = ""
            text.unicodeScalars.append(contentsOf: source[range])
            return text
        }

        private mutating func replace(_ range: Range<Int>, by replacement: String, _ change: String) {
            mutations.append(
                PatternMutation(
                    change: change, offset: range.lowerBound,
                    source: text(0..<range.lowerBound) + replacement + text(range.upperBound..<source.count)))
        }

        private func scalar(_ index: Int) -> Unicode.Scalar? { source.indices.contains(index) ? source[index] : nil }

        mutating func scan() {
            // Settings like (*UTF) count only at the very start.
            while scalar(at) == "(", scalar(at + 1) == "*", let close = source[at...].firstIndex(of: ")") { at = close + 1 }
            while let next = scalar(at) {
                switch next {
                case "\\": escape()
                case "[": characterClass()
                case "(": group()
                case ")":
                    at += 1
                    if let start = groups.popLast() ?? nil {
                        replace(start..<at, by: "", "look-around \(text(start..<at)) left out")
                    }
                case "^", "$":
                    replace(at..<at + 1, by: "", "\(next) left out")
                    at += 1
                case "{": counted()
                case "+":
                    replace(at..<at + 1, by: "*", "+ widened to *")
                    at += 1
                case "?": optional()
                default: at += 1
                }
            }
        }

        private mutating func escape() {
            let start = at
            guard let letter = scalar(at + 1) else { return at += 1 }
            at += 2
            switch letter {
            case "b", "B", "A", "z", "Z":
                replace(start..<at, by: "", "\\\(letter) left out")
            case "d": replace(start..<at, by: "\\w", "\\d widened to \\w")
            case "w": replace(start..<at, by: "\\S", "\\w widened to \\S")
            case "s": replace(start..<at, by: "[\\s\\S]", "\\s widened to any character")
            case ".": replace(start..<at, by: ".", "\\. widened to any character")
            case "Q":
                while at < source.count, !(source[at] == "\\" && scalar(at + 1) == "E") { at += 1 }
                at = min(source.count, at + 2)
            case "x", "p", "P", "N", "g", "k", "o":
                if scalar(at) == "{", let close = source[at...].firstIndex(of: "}") { at = close + 1 }
            default: break
            }
        }

        private mutating func characterClass() {
            let start = at
            at += 1
            let isNegated = scalar(at) == "^"
            if isNegated { at += 1 }
            // A bracket that comes first is a member.
            if scalar(at) == "]" { at += 1 }
            while let next = scalar(at), next != "]" {
                if next == "\\" {
                    at += 2
                } else if next == "[", let kind = scalar(at + 1), kind == ":" || kind == "." || kind == "=" {
                    var end = at + 2
                    while end + 1 < source.count, !(source[end] == kind && source[end + 1] == "]") { end += 1 }
                    at = end + 2
                } else {
                    at += 1
                }
            }
            guard scalar(at) == "]" else { return at = source.count }
            at += 1
            let name = text(start..<at)
            if isNegated {
                replace(start..<at, by: "[\\s\\S]", "\(name) widened to any character")
            } else {
                replace(start..<at, by: text(start..<at - 1) + "\\w]", "\(name) widened by \\w")
            }
        }

        private mutating func group() {
            let start = at
            at += 1
            guard scalar(at) == "?" else { return groups.append(nil) }
            let head = text(at..<min(at + 3, source.count))
            if head.hasPrefix("?#") {
                at = (source[at...].firstIndex(of: ")") ?? source.count - 1) + 1
                return
            }
            let isLookaround = ["?=", "?!", "?<=", "?<!"].contains { head.hasPrefix($0) }
            groups.append(isLookaround ? start : nil)
            // Over the head, so that its `?` is taken for no quantifier.
            at += isLookaround ? (head.hasPrefix("?<") ? 3 : 2) : 1
            if !isLookaround, let next = scalar(at), next == "<" || next == "P" || next == "'" {
                while let letter = scalar(at), letter != ">", letter != ")", at < start + 40 { at += 1 }
            }
        }

        /// `?` itself, or what makes the quantifier before it lazy.
        private mutating func optional() {
            let before = at > 0 ? source[at - 1] : " "
            at += 1
            if ["+", "*", "?", "}"].contains(before) { return }
            replace(at - 1..<at, by: "{0,2}", "? widened to {0,2}")
        }

        private mutating func counted() {
            let start = at
            guard let close = source[at...].firstIndex(of: "}") else { return at += 1 }
            let parts = text(at + 1..<close).split(separator: ",", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let least = Int(parts[0]) else { return at += 1 }
            at = close + 1
            let range = start..<at
            let most = parts.count == 1 ? least : Int(parts[1])
            let spelled = text(range)
            let upper = parts.count == 1 ? "\(least)" : String(parts[1])
            if least > 0 {
                replace(range, by: "{\(least - 1),\(upper)}", "\(spelled) widened to {\(least - 1),\(upper)}")
            }
            if let most { replace(range, by: "{\(least),\(most + 1)}", "\(spelled) widened to {\(least),\(most + 1)}") }
        }
    }
}
