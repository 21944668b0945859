enum StringMethods {
    static func call(
        _ text: PythonString, _ method: Method, _ arguments: CallArguments, _ render: Render
    ) throws(TemplateError) -> Value {
        switch method {
        case .strip, .lstrip, .rstrip:
            let characters = try optionalString(arguments, 0, "chars", method.rawValue)
            return .string(text.stripped(characters ?? render.dialect.space, left: method != .rstrip, right: method != .lstrip))
        case .split, .rsplit: return try split(text, arguments, fromRight: method == .rsplit, render)
        case .startswith, .endswith: return try affix(text, arguments, isPrefix: method == .startswith)
        case .replace: return try replace(text, arguments, render)
        case .lower, .upper, .casefold: return .string(cased(text, upper: method == .upper))
        case .capitalize: return .string(capitalized(text))
        case .title: return .string(titled(text))
        case .swapcase:
            return .string(
                PythonString(
                    text.string.unicodeScalars.map {
                        $0.properties.isUppercase ? $0.properties.lowercaseMapping : $0.properties.uppercaseMapping
                    }.joined()
                ).marked(text.isMarkup))
        case .format: return .string(try StringFormat.format(text, arguments, render))
        case .format_map:
            var named = CallArguments()
            if case .dictionary(let dictionary)? = arguments.positional.first {
                named.named = zip(dictionary.keys, dictionary.values).map { (PythonPrinter.str($0).string, $1) }
            }
            return .string(try StringFormat.format(text, named, render))
        case .join: return .string(try join(text, try Methods.required(arguments, "join"), render))
        case .find, .rfind, .index, .rindex, .count: return try search(text, method, arguments)
        case .partition, .rpartition: return try partition(text, arguments, fromRight: method == .rpartition)
        case .removeprefix, .removesuffix:
            let part = try string(arguments, 0, method.rawValue)
            if method == .removeprefix, text.hasPrefix(part.utf8) {
                return .string(PythonString(text.utf8.dropFirst(part.utf8.count), like: text))
            }
            if method == .removesuffix, text.hasSuffix(part.utf8) {
                return .string(PythonString(text.utf8.dropLast(part.utf8.count), like: text))
            }
            return .string(text)
        case .splitlines:
            return .list(lines(text, keepEnds: arguments.get(0, "keepends")?.integer == 1).map { .string($0) })
        case .center, .ljust, .rjust, .zfill: return .string(try padded(text, method, arguments, render))
        case .expandtabs: return .string(expandTabs(text, width: arguments.get(0, "tabsize")?.integer ?? 8))
        case .encode: throw TemplateError(.attribute, "bytes are not supported in templates")
        default: return .bool(try isOf(text, method))
        }
    }

    // MARK: Arguments

    static func string(_ arguments: CallArguments, _ index: Int, _ function: String) throws(TemplateError) -> PythonString {
        guard index < arguments.positional.count else {
            throw TemplateError(.type, "\(function)() takes at least \(index + 1) argument (\(index) given)")
        }
        guard case .string(let text) = arguments.positional[index] else {
            throw TemplateError(
                .type, "\(function)() argument \(index + 1) must be str, not \(arguments.positional[index].typeName)")
        }
        return text
    }

    private static func optionalString(
        _ arguments: CallArguments, _ index: Int, _ name: String, _ function: String
    ) throws(TemplateError) -> PythonString? {
        switch arguments.get(index, name) {
        case nil, .some(.none): return nil
        case .string(let text): return text
        default: throw TemplateError(.type, "\(function) arg must be None or str")
        }
    }

    // MARK: Splitting and joining

    private static func split(
        _ text: PythonString, _ arguments: CallArguments, fromRight: Bool, _ render: Render
    ) throws(TemplateError) -> Value {
        var limit = Int.max
        if let given = arguments.get(1, "maxsplit") {
            limit = try given.index()
            if limit < 0 { limit = .max }
        }
        var parts: [PythonString]
        switch arguments.get(0, "sep") {
        case nil, .some(.none):
            parts = fromRight ? splitSpaceFromRight(text, limit) : splitSpace(text, limit)
        case .string(let separator):
            guard !separator.utf8.isEmpty else { throw TemplateError(.value, "empty separator") }
            parts = fromRight ? splitFromRight(text, separator.utf8, limit) : self.split(text, separator.utf8, limit)
        case let other?:
            throw TemplateError(.type, "must be str or None, not \(other.typeName)")
        }
        try render.charge(4 * parts.count)
        return .list(parts.map { .string($0) })
    }

    private static func split(_ text: PythonString, _ separator: [UInt8], _ limit: Int) -> [PythonString] {
        var parts: [PythonString] = []
        var start = 0
        while parts.count < limit, let found = text.find(separator, from: start) {
            parts.append(PythonString(text.utf8[start..<found], like: text))
            start = found + separator.count
        }
        parts.append(PythonString(text.utf8[start...], like: text))
        return parts
    }

    private static func splitFromRight(_ text: PythonString, _ separator: [UInt8], _ limit: Int) -> [PythonString] {
        var parts: [PythonString] = []
        var end = text.utf8.count
        while parts.count < limit, let found = text.findLast(separator, to: end) {
            parts.append(PythonString(text.utf8[(found + separator.count)..<end], like: text))
            end = found
        }
        parts.append(PythonString(text.utf8[..<end], like: text))
        return parts.reversed()
    }

    private static func splitSpace(_ text: PythonString, _ limit: Int) -> [PythonString] {
        var parts: [PythonString] = []
        var rest = text.stripped(nil, right: false)
        while !rest.utf8.isEmpty {
            if parts.count == limit {
                parts.append(rest)
                break
            }
            var end = 0
            while end < rest.utf8.count, !PythonString.isSpace(rest.scalar(at: end)) {
                end += PythonString.width(rest.utf8[end])
            }
            end = min(end, rest.utf8.count)
            parts.append(PythonString(rest.utf8[..<end], like: text))
            rest = PythonString(rest.utf8[end...], like: text).stripped(nil, right: false)
        }
        return parts
    }

    private static func splitSpaceFromRight(_ text: PythonString, _ limit: Int) -> [PythonString] {
        var words = splitSpace(text, .max)
        guard words.count > limit else { return words }
        let kept = words.suffix(limit)
        // The rest is the text up to the white space before the kept words.
        var rest = text.stripped(nil, left: false)
        for word in kept.reversed() {
            rest = PythonString(rest.utf8.dropLast(word.utf8.count), like: text).stripped(nil, left: false)
        }
        words = [rest] + kept
        return words
    }

    static func join(_ separator: PythonString, _ items: Value, _ render: Render) throws(TemplateError) -> PythonString {
        var output: [UInt8] = []
        var isMarkup = separator.isMarkup
        for (index, item) in try render.items(items).enumerated() {
            guard case .string(let text) = item else {
                throw TemplateError(.type, "sequence item \(index): expected str instance, \(item.typeName) found")
            }
            if index > 0 { output += separator.utf8 }
            output += separator.isMarkup ? text.escaped.utf8 : text.utf8
            isMarkup = separator.isMarkup
            try render.charge(bytes: text.utf8.count + separator.utf8.count)
            if output.count > render.limits.outputBytesMax { try render.charge(bytes: output.count) }
        }
        return PythonString(utf8: output, isMarkup: isMarkup)
    }

    static func lines(_ text: PythonString, keepEnds: Bool = false) -> [PythonString] {
        var lines: [PythonString] = []
        var start = 0
        var index = 0
        while index < text.utf8.count {
            let width = min(PythonString.width(text.utf8[index]), text.utf8.count - index)
            var end = index + width
            switch text.scalar(at: index).value {
            case 0x0d:
                if end < text.utf8.count, text.utf8[end] == 0x0a { end += 1 }
                fallthrough
            case 0x0a, 0x0b, 0x0c, 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
                lines.append(PythonString(text.utf8[start..<(keepEnds ? end : index)], like: text))
                start = end
            default: break
            }
            index = end
        }
        if start < text.utf8.count { lines.append(PythonString(text.utf8[start...], like: text)) }
        return lines
    }

    private static func partition(
        _ text: PythonString, _ arguments: CallArguments, fromRight: Bool
    ) throws(TemplateError) -> Value {
        let separator = try string(arguments, 0, "partition")
        guard !separator.utf8.isEmpty else { throw TemplateError(.value, "empty separator") }
        let empty = Value.string(.empty)
        guard let found = fromRight ? text.findLast(separator.utf8) : text.find(separator.utf8) else {
            return .tuple(fromRight ? [empty, empty, .string(text)] : [.string(text), empty, empty])
        }
        return .tuple([
            .string(PythonString(text.utf8[..<found], like: text)), .string(separator),
            .string(PythonString(text.utf8[(found + separator.utf8.count)...], like: text)),
        ])
    }

    // MARK: Searching

    private static func bounds(
        _ text: PythonString, _ arguments: CallArguments
    ) throws(TemplateError) -> (from: Int, to: Int)? {
        let count = text.count
        func bound(_ index: Int, _ fallback: Int) throws(TemplateError) -> Int {
            guard index < arguments.positional.count else { return fallback }
            if case .none = arguments.positional[index] { return fallback }
            let value = try arguments.positional[index].index()
            return value < 0 ? max(0, value < -count ? 0 : count + value) : value
        }
        let from = try bound(1, 0)
        let to = min(try bound(2, count), count)
        guard from <= to else { return nil }
        return (text.byteOffset(ofScalar: from), text.byteOffset(ofScalar: to))
    }

    private static func affix(
        _ text: PythonString, _ arguments: CallArguments, isPrefix: Bool
    ) throws(TemplateError) -> Value {
        let name = isPrefix ? "startswith" : "endswith"
        guard let first = arguments.positional.first else {
            throw TemplateError(.type, "\(name)() takes at least 1 argument (0 given)")
        }
        var candidates = [first]
        if case .tuple(let list) = first { candidates = list.items }
        guard let (from, to) = try bounds(text, arguments) else { return .bool(false) }
        let part = from == 0 && to == text.utf8.count ? text : PythonString(text.utf8[from..<to], like: text)
        for candidate in candidates {
            guard case .string(let affix) = candidate else {
                throw TemplateError(
                    .type, "\(name) first arg must be str or a tuple of str, not \(candidate.typeName)")
            }
            if isPrefix ? part.hasPrefix(affix.utf8) : part.hasSuffix(affix.utf8) { return .bool(true) }
        }
        return .bool(false)
    }

    private static func search(
        _ text: PythonString, _ method: Method, _ arguments: CallArguments
    ) throws(TemplateError) -> Value {
        guard let first = arguments.positional.first else {
            throw TemplateError(.type, "\(method.rawValue)() takes at least 1 argument (0 given)")
        }
        guard case .string(let part) = first else {
            throw TemplateError(.type, "must be str, not \(first.typeName)")
        }
        var found: Int?
        if let (from, to) = try bounds(text, arguments) {
            switch method {
            case .count:
                if part.utf8.isEmpty { return .int(text.scalarIndex(ofByte: to) - text.scalarIndex(ofByte: from) + 1) }
                var count = 0
                var start = from
                while let next = text.find(part.utf8, from: start, to: to) {
                    count += 1
                    start = next + part.utf8.count
                }
                return .int(count)
            case .find, .index: found = text.find(part.utf8, from: from, to: to)
            default: found = text.findLast(part.utf8, from: from, to: to)
            }
        } else if method == .count {
            return .int(0)
        }
        if let found { return .int(text.scalarIndex(ofByte: found)) }
        if method == .index || method == .rindex { throw TemplateError(.value, "substring not found") }
        return .int(-1)
    }

    private static func replace(
        _ text: PythonString, _ arguments: CallArguments, _ render: Render
    ) throws(TemplateError) -> Value {
        guard arguments.positional.count >= 2 else {
            throw TemplateError(
                .type, "replace expected at least 2 arguments, got \(arguments.positional.count)")
        }
        let old = try string(arguments, 0, "replace")
        var new = try string(arguments, 1, "replace")
        if text.isMarkup { new = new.escaped }
        let count = try arguments.get(2, "count").map { (value) throws(TemplateError) in try value.index() } ?? -1
        return .string(try replace(text, old, new, count < 0 ? .max : count, render))
    }

    static func replace(
        _ text: PythonString, _ old: PythonString, _ new: PythonString, _ limit: Int, _ render: Render
    ) throws(TemplateError) -> PythonString {
        var output: [UInt8] = []
        var left = limit
        if old.utf8.isEmpty {
            for character in text.characters {
                if left > 0 {
                    output += new.utf8
                    left -= 1
                }
                output += character.utf8
                try render.charge(bytes: output.count > render.limits.outputBytesMax ? output.count : new.utf8.count)
            }
            if left > 0 { output += new.utf8 }
            return PythonString(utf8: output, isMarkup: text.isMarkup)
        }
        guard var found = text.find(old.utf8), left > 0 else { return text }
        var start = 0
        while true {
            output += text.utf8[start..<found]
            output += new.utf8
            try render.charge(bytes: output.count > render.limits.outputBytesMax ? output.count : new.utf8.count)
            start = found + old.utf8.count
            left -= 1
            guard left > 0, let next = text.find(old.utf8, from: start) else { break }
            found = next
        }
        output += text.utf8[start...]
        return PythonString(utf8: output, isMarkup: text.isMarkup)
    }

    // MARK: Case

    static func cased(_ text: PythonString, upper: Bool) -> PythonString {
        if text.isASCII {
            let bytes = text.utf8.map { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z") where upper: byte - 32
                case UInt8(ascii: "A")...UInt8(ascii: "Z") where !upper: byte + 32
                default: byte
                }
            }
            return PythonString(utf8: bytes, isASCII: true, isMarkup: text.isMarkup)
        }
        var output = ""
        let scalars = text.scalars
        for (index, scalar) in scalars.enumerated() {
            if upper {
                output += scalar.properties.uppercaseMapping
            } else if scalar == "Σ" {
                output += isFinalSigma(scalars, index) ? "ς" : "σ"
            } else {
                output += scalar.properties.lowercaseMapping
            }
        }
        return PythonString(output).marked(text.isMarkup)
    }

    /// A sigma behind a letter and not before one, case-ignorables between them left out.
    private static func isFinalSigma(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    static func capitalized(_ text: PythonString) -> PythonString {
        guard let first = text.characters.first else { return text }
        let rest = cased(text, upper: false)
        let head = cased(first, upper: false).utf8.count
        let title = first.string.unicodeScalars.first?.properties.titlecaseMapping ?? ""
        return PythonString(utf8: Array(title.utf8) + rest.utf8.dropFirst(head), isMarkup: text.isMarkup)
    }

    private static func titled(_ text: PythonString) -> PythonString {
        var output = ""
        var isInWord = false
        for scalar in text.string.unicodeScalars {
            output += isInWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            isInWord = scalar.properties.isCased
        }
        return PythonString(output).marked(text.isMarkup)
    }

    // MARK: Padding

    private static func padded(
        _ text: PythonString, _ method: Method, _ arguments: CallArguments, _ render: Render
    ) throws(TemplateError) -> PythonString {
        guard let first = arguments.positional.first else {
            throw TemplateError(.type, "\(method.rawValue)() takes at least 1 argument (0 given)")
        }
        let width = try first.index()
        var fill = PythonString(" ")
        if method == .zfill { fill = PythonString("0") } else if arguments.positional.count > 1 {
            fill = try string(arguments, 1, method.rawValue)
        }
        let count = text.count
        guard width > count else { return text }
        try render.charge(bytes: width)
        let missing = width - count
        func pad(_ count: Int) -> [UInt8] { (0..<count).flatMap { _ in fill.utf8 } }
        switch method {
        case .ljust: return PythonString(utf8: text.utf8 + pad(missing), isMarkup: text.isMarkup)
        case .center:
            let left = missing / 2 + (missing & width & 1)
            return PythonString(utf8: pad(left) + text.utf8 + pad(missing - left), isMarkup: text.isMarkup)
        case .zfill where text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+"):
            return PythonString(utf8: text.utf8.prefix(1) + pad(missing) + text.utf8.dropFirst(), isMarkup: text.isMarkup)
        default: return PythonString(utf8: pad(missing) + text.utf8, isMarkup: text.isMarkup)
        }
    }

    private static func expandTabs(_ text: PythonString, width: Int) -> PythonString {
        var output: [UInt8] = []
        var column = 0
        for scalar in text.string.unicodeScalars {
            if scalar == "\t" {
                guard width > 0 else { continue }
                let count = min(width, 1024) - column % min(width, 1024)
                output += [UInt8](repeating: UInt8(ascii: " "), count: count)
                column += count
            } else {
                output.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return PythonString(utf8: output, isMarkup: text.isMarkup)
    }

    // MARK: Classes of characters

    private static func isOf(_ text: PythonString, _ method: Method) throws(TemplateError) -> Bool {
        let scalars = text.scalars
        func all(_ test: (Unicode.Scalar.Properties) -> Bool) -> Bool {
            !scalars.isEmpty && scalars.allSatisfy { test($0.properties) }
        }
        switch method {
        case .islower: return Methods.isCased(text, upper: false)
        case .isupper: return Methods.isCased(text, upper: true)
        case .isspace: return !scalars.isEmpty && scalars.allSatisfy(PythonString.isSpace)
        case .isascii: return text.isASCII
        case .isprintable: return scalars.allSatisfy(PythonPrinter.isPrintable)
        case .isalpha: return all(isLetter)
        case .isdecimal: return all { $0.numericType == .decimal }
        case .isdigit: return all { $0.numericType == .decimal || $0.numericType == .digit }
        case .isnumeric: return all { $0.numericType != nil }
        case .isalnum: return all { isLetter($0) || $0.numericType != nil }
        case .isidentifier:
            guard let first = scalars.first else { return false }
            return (first == "_" || first.properties.isXIDStart) && scalars.allSatisfy { $0.properties.isXIDContinue }
        case .istitle:
            var isInWord = false
            var hasCased = false
            for scalar in scalars {
                let properties = scalar.properties
                if properties.isUppercase || properties.generalCategory == .titlecaseLetter {
                    if isInWord { return false }
                    (isInWord, hasCased) = (true, true)
                } else if properties.isLowercase {
                    if !isInWord { return false }
                    hasCased = true
                } else {
                    isInWord = false
                }
            }
            return hasCased
        default: throw TemplateError(.attribute, "'str' object has no attribute '\(method.rawValue)'")
        }
    }

    private static func isLetter(_ properties: Unicode.Scalar.Properties) -> Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }
}
