/// Escapes and classes.
extension PatternParser {
    /// At a backslash, outside of a class.
    mutating func escape() throws(PatternNotAnalysed) -> PatternNode? {
        guard let next = at(1) else { throw unknown("'\\' at the end") }
        switch next {
        case "b": return anchor(.wordBoundary)
        case "B": return anchor(.notWordBoundary)
        case "A": return anchor(.textStart)
        case "z", "Z": return anchor(.textEnd)
        case "G", "K": return anchor(.search)
        case "Q":
            index += 2
            var parts: [PatternNode] = []
            while let scalar = at(), !(scalar == "\\" && at(1) == "E") {
                index += 1
                parts.append(.characters(literal(scalar.value)))
            }
            index = min(source.count, index + 2)
            guard parts.count < 2 || !isQuantifier(at()) else { throw unknown("a quantifier behind '\\E'") }
            return parts.isEmpty ? nil : parts.count == 1 ? parts[0] : .sequence(parts)
        case "E":
            index += 2
            return nil
        case "R":
            index += 2
            // Atomic: CR LF is never cut in two.
            return .atomic(
                .choice([
                    .sequence([.characters(ScalarSet(0x0D)), .characters(ScalarSet(0x0A))]),
                    .characters(.vertical),
                ]))
        case "X", "C": throw unknown("'\\\(next)'")
        case "k", "g":
            index += 2
            guard let open = at() else { throw unknown("a broken reference") }
            if next == "g", open == "<" || open == "'" { throw unknown("a recursion") }
            let ends: [Unicode.Scalar: Unicode.Scalar] = ["{": "}", "<": ">", "'": "'"]
            guard let end = ends[open] else {
                guard next == "g" else { throw unknown("a broken reference") }
                let start = index
                index += open == "-" || open == "+" ? 1 : 0
                while let scalar = at(), Self.digit(scalar) != nil { index += 1 }
                return reference(String(String.UnicodeScalarView(source[start..<index])))
            }
            index += 1
            return reference(try text(until: end))
        case _ where Self.digit(next) ?? 0 > 0:
            index += 2
            if let more = at(), Self.digit(more) != nil { throw unknown("a number that may be octal or a reference") }
            return reference(String(next))
        default: return .characters(try escapedSet(inClass: false).set)
        }
    }

    private mutating func anchor(_ anchor: PatternNode.Anchor) -> PatternNode {
        index += 2
        return .anchor(anchor)
    }

    private func isQuantifier(_ scalar: Unicode.Scalar?) -> Bool {
        scalar == "*" || scalar == "+" || scalar == "?" || scalar == "{"
    }

    /// At a backslash that stands for characters. `single`: the one character it names, which can begin a range.
    mutating func escapedSet(
        inClass: Bool
    ) throws(PatternNotAnalysed) -> (set: ScalarSet, single: UInt32?) {
        guard let next = at(1) else { throw unknown("'\\' at the end") }
        index += 2
        func set(_ set: ScalarSet) -> (set: ScalarSet, single: UInt32?) { (set, nil) }
        switch next {
        case "d": return set(digits)
        case "D": return set(digits.complement())
        case "w": return set(word)
        case "W": return set(word.complement())
        case "s": return set(space)
        case "S": return set(space.complement())
        case "h": return set(.horizontal)
        case "H": return set(ScalarSet.horizontal.complement())
        case "v": return set(.vertical)
        case "V": return set(ScalarSet.vertical.complement())
        case "N":
            guard at() == "{" else { return set(.notNewline) }
            guard take("{U+") else { throw unknown("a named character") }
            return one(try hexadecimal(try text(until: "}")))
        case "p", "P": return set(try property(isNegated: next == "P"))
        case "t": return one(0x09)
        case "n": return one(0x0A)
        case "r": return one(0x0D)
        case "f": return one(0x0C)
        case "e": return one(0x1B)
        case "a": return one(0x07)
        case "b" where inClass: return one(0x08)
        case "x":
            if take("{") { return one(try hexadecimal(try text(until: "}"))) }
            var value: UInt32 = 0
            for _ in 0..<2 {
                guard let scalar = at(), let digit = UInt32(String(scalar), radix: 16) else { break }
                value = value << 4 | digit
                index += 1
            }
            return one(value)
        case "o":
            guard take("{"), let value = UInt32(try text(until: "}"), radix: 8) else { throw unknown("a broken '\\o'") }
            return one(value)
        case "0":
            var value: UInt32 = 0
            for _ in 0..<2 {
                guard let scalar = at(), let digit = UInt32(String(scalar), radix: 8) else { break }
                value = value << 3 | digit
                index += 1
            }
            return one(value)
        case "c":
            guard let letter = at(), letter.isASCII else { throw unknown("a broken '\\c'") }
            index += 1
            let upper = letter.value >= 0x61 && letter.value <= 0x7A ? letter.value - 0x20 : letter.value
            return one(upper ^ 0x40)
        default:
            if next.isASCII, next.properties.isAlphabetic || Self.digit(next) != nil {
                throw unknown("'\\\(next)'")
            }
            return one(next.value)
        }
    }

    private mutating func one(_ value: UInt32) -> (set: ScalarSet, single: UInt32?) { (literal(value), value) }

    private func hexadecimal(_ text: String) throws(PatternNotAnalysed) -> UInt32 {
        guard let value = UInt32(text, radix: 16), value <= 0x10FFFF else { throw unknown("a broken character number") }
        return value
    }

    private var digits: ScalarSet { isUCP ? CategorySets.set("Nd") ?? .digits : .digits }

    private var word: ScalarSet {
        isUCP ? (CategorySets.set("Xan") ?? .empty).union(ScalarSet(0x5F)) : .word
    }

    private var space: ScalarSet {
        isUCP ? ScalarSet.horizontal.union(.vertical).union(CategorySets.set("Z") ?? .empty) : .space
    }

    /// Behind `\p`. A property that is not known here is taken for anything.
    private mutating func property(isNegated: Bool) throws(PatternNotAnalysed) -> ScalarSet {
        guard let first = at() else { throw unknown("a broken property") }
        index += 1
        var name = first == "{" ? try text(until: "}") : String(first)
        name.removeAll { $0 == " " || $0 == "_" }
        var isNegated = isNegated
        if name.hasPrefix("^") {
            name.removeFirst()
            isNegated.toggle()
        }
        if flags.caseless, ["Lu", "Ll", "Lt"].contains(name) { name = "L&" }
        guard let set = CategorySets.set(name) else {
            setsAreExact = false
            return .all
        }
        return isNegated ? set.complement() : set
    }

    /// At `[`.
    mutating func characterClass() throws(PatternNotAnalysed) -> ScalarSet {
        index += 1
        var isNegated = false
        if at() == "^" {
            isNegated = true
            index += 1
        }
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        var isGuessed = false
        var literals: [ClosedRange<UInt32>] = []
        while let scalar = at(), scalar != "]" || isFirst {
            isFirst = false
            if scalar == "[", let kind = at(1), kind == ":" || kind == "." || kind == "=" {
                if let set = try posix() {
                    ranges += set.ranges
                    continue
                }
            }
            if scalar == "\\", at(1) == "Q" {
                index += 2
                while let scalar = at(), !(scalar == "\\" && at(1) == "E") {
                    index += 1
                    literals.append(scalar.value...scalar.value)
                }
                index = min(source.count, index + 2)
                continue
            }
            if scalar == "\\", at(1) == "E" {
                index += 2
                continue
            }
            guard let (set, low) = try member(&isGuessed) else { continue }
            guard let low, at() == "-", let after = at(1), after != "]" else {
                ranges += set.ranges
                continue
            }
            let mark = index
            index += 1
            guard let (_, high) = try member(&isGuessed), let high else {
                // `a-\d`: the hyphen is itself.
                index = mark
                ranges += set.ranges
                literals.append(0x2D...0x2D)
                index += 1
                continue
            }
            guard high >= low else { throw unknown("a range out of order") }
            literals.append(low...high)
        }
        guard at() == "]" else { throw unknown("']' is missing") }
        index += 1
        var set = ScalarSet(literals)
        if flags.caseless { set = caseless(set) }
        set = set.union(ScalarSet(ranges)).intersection(.all)
        // What was taken for anything may be nothing: the complement could be anything too.
        if isGuessed { return .all }
        return isNegated ? set.complement() : set
    }

    private mutating func member(
        _ isGuessed: inout Bool
    ) throws(PatternNotAnalysed) -> (set: ScalarSet, single: UInt32?)? {
        guard let scalar = at() else { return nil }
        if scalar == "\\" {
            let wasExact = setsAreExact
            setsAreExact = true
            let result = try escapedSet(inClass: true)
            if !setsAreExact { isGuessed = isGuessed || result.single == nil }
            setsAreExact = setsAreExact && wasExact
            return result
        }
        index += 1
        return (literal(scalar.value), scalar.value)
    }

    /// At `[:`. `nil`: no POSIX class, only a bracket.
    private mutating func posix() throws(PatternNotAnalysed) -> ScalarSet? {
        guard at(1) == ":" else { return nil }
        let start = index
        var name = ""
        var position = index + 2
        while position < source.count, source[position] == "^" || source[position].properties.isLowercase {
            name.unicodeScalars.append(source[position])
            position += 1
        }
        guard position + 1 < source.count, source[position] == ":", source[position + 1] == "]" else { return nil }
        index = position + 2
        let isNegated = name.hasPrefix("^")
        if isNegated { name.removeFirst() }
        if flags.caseless, name == "upper" || name == "lower" { name = "alpha" }
        guard let set = ScalarSet.posix[name], !isUCP else {
            index = start
            throw unknown("a POSIX class")
        }
        return isNegated ? set.complement() : set
    }
}
