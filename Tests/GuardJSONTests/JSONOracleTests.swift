import GuardTesting
import Foundation
import Testing

@testable import GuardJSON

/// The reader against Foundation's where both speak of the same language, and against bytes that nobody meant.
struct JSONOracleTests {
    /// A random document as text and as the value it means.
    private struct Generator {
        var random: SeededRandom

        mutating func value(depth: Int) -> (text: String, value: Any) {
            switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
            case 0: return ("null", NSNull())
            case 1: return ("true", true)
            case 2:
                let number = Int.random(in: -1_000_000...1_000_000, using: &random)
                return ("\(number)", number)
            case 3:
                let number = Double(Int.random(in: -999...999, using: &random)) / 8
                return ("\(number)", number)
            case 4, 5: return string()
            case 6:
                var texts: [String] = []
                var values: [Any] = []
                for _ in 0..<Int.random(in: 0..<5, using: &random) {
                    let (text, element) = value(depth: depth - 1)
                    texts.append(space() + text + space())
                    values.append(element)
                }
                return ("[" + texts.joined(separator: ",") + space() + "]", values)
            default:
                var texts: [String] = []
                var values: [String: Any] = [:]
                for _ in 0..<Int.random(in: 0..<20, using: &random) {
                    let (keyText, key) = string()
                    // Foundation keys are compared canonically; ours by their bytes.
                    guard let key = key as? String, values[key] == nil else { continue }
                    let (text, member) = value(depth: depth - 1)
                    texts.append(space() + keyText + space() + ":" + space() + text)
                    values[key] = member
                }
                return ("{" + texts.joined(separator: ",") + space() + "}", values)
            }
        }

        private mutating func space() -> String {
            ["", "", " ", "\n", "\t\r\n "].randomElement(using: &random) ?? ""
        }

        mutating func string() -> (text: String, value: Any) {
            var text = ""
            var value = ""
            for _ in 0..<Int.random(in: 0..<14, using: &random) {
                let (escaped, meant) = Self.pieces.randomElement(using: &random) ?? ("", "")
                text += escaped
                value += meant
            }
            return ("\"" + text + "\"", value)
        }

        static let pieces: [(String, String)] = [
            ("a", "a"), ("key", "key"), ("plain text, long enough", "plain text, long enough"), (#"\n"#, "\n"),
            (#"\""#, "\""), (#"\\"#, "\\"), (#"\/"#, "/"), (#"\b\f\r\t"#, "\u{8}\u{C}\r\t"), (#"\u0041"#, "A"),
            (#"\u00e9"#, "é"), ("é", "é"), ("退", "退"), (#"\u9000"#, "退"), ("😀", "😀"), (#"\ud83d\ude00"#, "😀"),
            (#"\u0000"#, "\0"), ("\u{7F}", "\u{7F}"), (#"\uFFFF"#, "\u{FFFF}"),
        ]
    }

    private func same(_ node: JSONNode, _ value: Any) -> Bool {
        switch node.kind {
        case .null: return value is NSNull
        case .true, .false: return node.bool == value as? Bool
        case .number:
            guard let number = value as? NSNumber else { return false }
            if let integer = node.integer { return integer == number.int64Value }
            return node.double == number.doubleValue
        case .string: return node.string.map { Array($0.utf8) } == (value as? String).map { Array($0.utf8) }
        case .array:
            guard let list = value as? [Any] else { return false }
            let elements = Array(node.elements)
            return elements.count == list.count && zip(elements, list).allSatisfy { same($0, $1) }
        case .object:
            guard let object = value as? [String: Any] else { return false }
            return node.count == object.count
                && node.members.allSatisfy { key, member in
                    guard let name = key.string, let other = object[name] else { return false }
                    return same(member, other)
                }
        }
    }

    @Test func readsWhatWasMeantAndWhatFoundationReads() throws {
        var generator = Generator(random: SeededRandom(seed: 1))
        for round in 0..<600 {
            let (text, meant) = generator.value(depth: 4)
            let root = try JSONDocument(Array(text.utf8)).root
            #expect(same(root, meant), "round \(round)")
            let other = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            #expect(same(root, other), "round \(round)")
            // Places: every node's bytes are a document of the same value.
            for string in root.strings {
                #expect(try JSONDocument(Array(string.rawBytes)).root.string == string.string)
                #expect(string.pointer.hasPrefix("/") || string.byteRange == root.byteRange)
            }
        }
    }

    /// Whatever Foundation refuses we refuse (we refuse more), and nothing crashes or hangs.
    @Test func mutatedDocuments() throws {
        var generator = Generator(random: SeededRandom(seed: 2))
        var random = SeededRandom(seed: 3)
        let interesting: [UInt8] = Array("{}[]\",:\\u0123edtfn-+.\n \u{0}".utf8) + [0x80, 0xC3, 0xED, 0xA0, 0xF0, 0xFF]
        var accepted = 0
        for _ in 0..<4000 {
            var bytes = Array(generator.value(depth: 3).text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                let at = bytes.indices.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.remove(at: at)
                case 1: bytes[at] = interesting.randomElement(using: &random) ?? 0
                case 2: bytes.insert(interesting.randomElement(using: &random) ?? 0, at: at)
                default: bytes.removeSubrange(at...)
                }
            }
            guard let document = try? JSONDocument(bytes) else { continue }
            accepted += 1
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(
                (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil,
                "only we accept \(text)")
            #expect(document.root.byteRange.upperBound <= bytes.count)
        }
        #expect(accepted > 100)
    }

    @Test func randomBytes() {
        var random = SeededRandom(seed: 4)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = try? JSONDocument(bytes)
            _ = try? JSONDocument([0x22] + bytes + [0x22])
        }
    }
}
