import Foundation
import GuardCore
import GuardTesting
import Testing

@testable import GuardMatching

@Suite struct LiteralFilterTests {
    /// Whether `text` can go on as `row` from `start`: every way to split it, one stretch after the other.
    private static func holds(_ row: [RequiredLiterals.Stretch], _ text: [UInt8], at start: Int) -> Bool {
        var ends: Set<Int> = [start]
        for stretch in row {
            func contains(_ place: Int) -> Bool { place < text.count && stretch.bytes.contains(text[place]) }
            func further(_ ends: Set<Int>) -> Set<Int> {
                var next = Set(ends.filter(contains).map { $0 + 1 })
                while stretch.isCharacters {
                    let behind = next.filter { contains($0) && text[$0] & 0xC0 == 0x80 }.map { $0 + 1 }
                    if next.isSuperset(of: behind) { break }
                    next.formUnion(behind)
                }
                return next
            }
            var last = ends
            var length = 0
            if stretch.length.min > 0 { ends = [] }
            while !last.isEmpty, length < stretch.length.max ?? .max {
                if stretch.isOrEnd, last.contains(text.count) { return true }
                last = further(last).subtracting(ends)
                length += 1
                if length >= stretch.length.min { ends.formUnion(last) }
            }
            if stretch.isOrEnd { break }
        }
        return !ends.isEmpty
    }

    /// Where a match may begin by the plain reading of `RequiredLiterals`: the bytes around the literal fit.
    /// Those of matches within `range`, whose literals lie there too, but for the lead.
    private static func starts(_ pattern: RequiredLiterals, _ text: [UInt8], _ range: Range<Int>) -> [Int] {
        var starts = [Bool](repeating: false, count: text.count + 1)
        func add(_ place: Int, _ front: RequiredLiterals.Front) {
            var length = 0
            while length <= min(place - range.lowerBound, front.length.max ?? .max) {
                if length > 0, !front.bytes.contains(text[place - length]) { break }
                if length >= front.length.min { starts[place - length] = true }
                length += 1
            }
        }
        for literal in pattern.any {
            let first = max(0, range.lowerBound - literal.lead)
            for place in stride(from: first, through: range.upperBound - literal.bytes.count, by: 1)
            where text[place..<place + literal.bytes.count].map(LiteralFilter.fold) == literal.bytes
                && (place == 0 || literal.previous.contains(text[place - 1]))
                && place + literal.lead >= range.lowerBound
                && holds(literal.after, text, at: place + literal.bytes.count)
            {
                add(place + literal.lead, literal.before)
            }
        }
        if let run = pattern.run, run.length <= range.count {
            for place in range.lowerBound...(range.upperBound - run.length)
            where text[place..<place + run.length].allSatisfy({ run.bytes.contains($0) }) {
                add(place, RequiredLiterals.Front(length: run.before.length, bytes: .all))
            }
        }
        return range.filter { starts[$0] }
    }

    /// Whether what follows a literal is asked for as it stands.
    private static func isExact(_ literal: RequiredLiterals.Literal) -> Bool {
        var places = 0
        for length in literal.after.map(\.length) {
            if let most = length.max, most - length.min > 40 { return false }
            places += length.max ?? max(1, length.min)
        }
        return places <= 126
    }

    private static func pattern(_ random: inout SeededRandom) -> RequiredLiterals {
        func bytes(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in Array("abc0".utf8).randomElement(using: &random) ?? 0x61 }
        }
        func front() -> RequiredLiterals.Front {
            let low = Int.random(in: 0...3, using: &random)
            let set =
                [ByteSet.all, ByteSet(Array("ab".utf8)), ByteSet(Array("abcABC".utf8)), ByteSet(Array("c1".utf8))]
                .randomElement(using: &random) ?? .all
            return .init(
                length: LengthRange(
                    low, Bool.random(using: &random) ? low + Int.random(in: 0...9, using: &random) : nil),
                bytes: low == 0 && Bool.random(using: &random) ? ByteSet() : set)
        }
        func row() -> [RequiredLiterals.Stretch] {
            (0..<Int.random(in: 0...4, using: &random)).map { _ in
                let set =
                    [
                        ByteSet.all, ByteSet(Array("ab\u{E9}".utf8)), ByteSet(Array("c01".utf8)),
                        ByteSet(Array("B9-".utf8)),
                    ]
                    .randomElement(using: &random) ?? .all
                // Long ones take more places than a word has bits, or lose their bound.
                let low = Int.random(in: 0...(Int.random(in: 0..<8, using: &random) == 0 ? 70 : 2), using: &random)
                let high = Int.random(in: 0...(Int.random(in: 0..<8, using: &random) == 0 ? 60 : 4), using: &random)
                return .init(
                    set, LengthRange(low, Bool.random(using: &random) ? low + high : nil),
                    isCharacters: Bool.random(using: &random), isOrEnd: Int.random(in: 0..<6, using: &random) == 0)
            }
        }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .unknown
        case 1:
            return RequiredLiterals(
                run: .init(
                    bytes: ByteSet(Array("ab".utf8)), length: Int.random(in: 1...9, using: &random), before: front()))
        default:
            return RequiredLiterals(
                any: (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    let bytes = bytes(Int.random(in: 1...9, using: &random))
                    let previous: ByteSet =
                        Int.random(in: 0..<3, using: &random) == 0 ? ByteSet(Array("abC0 \u{E9}".utf8)) : .all
                    return .init(
                        bytes: bytes, lead: Int.random(in: 0..<4, using: &random) == 0 ? bytes.count : 0,
                        before: front(), previous: previous, after: row())
                })
        }
    }

    /// Windows hold every place at which a match may begin, ascending and apart, in short texts and in long ones, which
    /// are read in parts, with vectors and without. By hand `GUARD_ROUNDS=100000 swift test -c release`.
    @Test func windowsHoldEveryStart() {
        var random = SeededRandom(seed: 11)
        var candidates = CandidateSet()
        var windows: [ByteRange] = []
        var checked = 0
        let rounds = ProcessInfo.processInfo.environment["GUARD_ROUNDS"].flatMap(Int.init) ?? 600
        for round in 0..<rounds {
            let patterns = (0..<6).map { _ in Self.pattern(&random) }
            let filter = LiteralFilter(patterns, usesVectors: round % 2 == 0)
            let alphabet = Array("aabbcABC019-\u{E9}".utf8)
            let count = Int.random(in: 0...(round % 400 == 97 ? 4400 : round % 8 < 2 ? 500 : 40), using: &random)
            let text = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let start = Bool.random(using: &random) ? 0 : Int.random(in: 0...text.count, using: &random)
            let range =
                start..<(Bool.random(using: &random) ? text.count : Int.random(in: start...text.count, using: &random))
            filter.scan(text.span, within: range, into: &candidates)
            for (number, pattern) in patterns.enumerated() {
                #expect(filter.unknown.contains(UInt32(number)) == pattern.isUnknown)
                candidates.windows(of: number, into: &windows)
                for (one, other) in zip(windows, windows.dropFirst()) { #expect(one.upperBound < other.lowerBound) }
                let starts = Self.starts(pattern, text, range)
                var covered = [Bool](repeating: false, count: text.count + 1)
                for place in windows.joined() { covered[place] = true }
                let missed = starts.filter { !covered[$0] }
                #expect(missed.isEmpty, "\(pattern) in \(range) of \(String(decoding: text, as: UTF8.self))")
                #expect(windows.allSatisfy { range.contains($0.lowerBound) && $0.upperBound <= range.upperBound })
                checked += starts.count
                if starts.isEmpty, pattern.run == nil, pattern.any.allSatisfy(Self.isExact) {
                    #expect(windows.isEmpty)
                }
            }
        }
        #expect(checked > 10_000)
    }

    /// A search that may begin in a window only finds what the search of the whole text finds first, if that begins
    /// there.
    @Test func limitedSearchIsTheSearchCutOff() throws {
        var random = SeededRandom(seed: 12)
        let sources = ["ab+c?", "(?<=b)a", "\\ba\\w*", "a(?=bc)", "(?m)^b", "[^a]{2}", "é?a", "b$", "(?i)aB", "a*?b"]
        var scratch = MatchScratch()
        var found = 0
        for source in sources {
            for validated in [false, true] {
                let pattern = try Pattern(source, validated: validated)
                for _ in 0..<200 {
                    let text = Array(
                        (0..<Int.random(in: 0...30, using: &random))
                            .map { _ in ["a", "b", "c", "é", "\n", "\r", " "].randomElement(using: &random) ?? "a" }
                            .joined().utf8)
                    var from = Int.random(in: 0...text.count, using: &random)
                    while from < text.count, text[from] & 0xC0 == 0x80 { from += 1 }
                    let through = Int.random(in: 0...text.count, using: &random)
                    let whole = pattern.firstMatch(in: text.span, from: from, scratch: &scratch)
                    let limited = pattern.firstMatch(in: text.span, from: from, through: through, scratch: &scratch)
                    if case .match(let range) = whole, range.lowerBound <= through {
                        #expect(limited == whole, "\(source)")
                        found += 1
                    } else {
                        #expect(limited == .none, "\(source)")
                    }
                    // The limit does not stay behind.
                    #expect(pattern.firstMatch(in: text.span, from: from, scratch: &scratch) == whole)
                }
            }
        }
        #expect(found > 500)
    }

    /// Keywords in a row whose tails read far: each is judged as if it stood alone, and all but the first few by the
    /// bound of the long repeat too.
    @Test(arguments: [true, false]) func keywordsInARow(hasEnd: Bool) {
        let word = ByteSet(Array("key=".utf8))
        let pattern = RequiredLiterals(any: [
            .init(
                bytes: Array("key".utf8), before: .none,
                after: [
                    .init(word, LengthRange(0, 20)), .init(ByteSet([0x3D]), LengthRange(1, 1)),
                    .init(word, LengthRange(10, 150)), .init(ByteSet([0x3B]), LengthRange(1, 1), isOrEnd: hasEnd),
                ])
        ])
        let filter = LiteralFilter([pattern])
        var candidates = CandidateSet()
        var windows: [ByteRange] = []
        for (text, holds) in [
            (String(repeating: "key=", count: 240), hasEnd), (String(repeating: "key=", count: 240) + " ", false),
            (String(repeating: "key=", count: 100) + ";" + String(repeating: "key=", count: 100) + ".", true),
        ] {
            filter.scan(Array(text.utf8).span, into: &candidates)
            candidates.windows(of: 0, into: &windows)
            #expect(windows.isEmpty == !holds)
            guard holds else { continue }
            let starts = windows.flatMap { Array($0) }
            let wanted = Self.starts(pattern, Array(text.utf8), 0..<text.utf8.count)
            #expect(wanted.count > 30 && Set(starts).isSuperset(of: wanted))
            #expect(starts.count <= wanted.count + 20)
        }
    }

    /// The rarest bytes of a long literal may stand far behind its begin.
    @Test(arguments: [100, 32_766, 32_767, 32_768, 40_000, 70_000]) func longLiterals(length: Int) {
        let bytes = [UInt8](repeating: UInt8(ascii: "e"), count: length) + Array("qxzj".utf8)
        let filter = LiteralFilter([RequiredLiterals(any: [.init(bytes: bytes, before: .none)])])
        var candidates = CandidateSet()
        var windows: [ByteRange] = []
        filter.scan((Array("then ".utf8) + bytes + Array(" it".utf8)).span, into: &candidates)
        candidates.windows(of: 0, into: &windows)
        #expect(windows == [5..<6])
        filter.scan((bytes.dropLast() + Array("k".utf8)).span, into: &candidates)
        #expect(candidates.touched.isEmpty)
    }

    @Test func emptyAndOddLiterals() {
        var candidates = CandidateSet()
        #expect(LiteralFilter([]).isEmpty)
        let filter = LiteralFilter([
            RequiredLiterals(any: [.init(bytes: [], before: .none)]),
            RequiredLiterals(any: [.init(bytes: [0xFF], before: .none)]),
        ])
        #expect(filter.unknown == [0])
        filter.scan([0x41, 0xFF].span, into: &candidates)
        #expect(candidates.touched == [1])
        filter.scan([UInt8]().span, into: &candidates)
        #expect(candidates.touched.isEmpty)
    }
}
