import Foundation
import GuardCore
import Testing

@testable import GuardJSON

func document(_ text: String) throws -> JSONDocument { try JSONDocument(Array(text.utf8)) }

func failure(_ bytes: [UInt8], limits: JSONLimits = .init()) -> JSONError? {
    do {
        _ = try JSONDocument(bytes, limits: limits)
        return nil
    } catch { return error }
}

struct JSONDocumentTests {
    @Test func readsEveryKindWithItsPlace() throws {
        let text = #" {"a" : [1, -2.5e3, true, false, null, "x\n\u00e9\ud83d\ude00"], "": {}, "e": []} "#
        let root = try document(text).root
        #expect(root.kind == .object)
        #expect(root.pointer == "")
        let list = try #require(root["a"])
        #expect(list.elements.map(\.kind) == [.number, .number, .true, .false, .null, .string])
        #expect(list[0]?.integer == 1)
        #expect(list[1]?.integer == nil)
        #expect(list[1]?.double == -2500)
        #expect(list[2]?.bool == true)
        #expect(list[3]?.bool == false)
        #expect(list[4]?.isNull == true)
        #expect(list[5]?.string == "x\né😀")
        #expect(list[5]?.pointer == "/a/5")
        #expect(list[6] == nil)
        #expect(list.count == 6)
        #expect(root[""]?.kind == .object)
        #expect(root[""]?.count == 0)
        #expect(root["e"]?.count == 0)
        #expect(root["missing"] == nil)
        #expect(root.members.map { $0.key.string } == ["a", "", "e"])
        let body = Array(text.utf8)
        #expect(String(decoding: body[list.byteRange], as: UTF8.self).hasPrefix("[1, "))
        #expect(String(decoding: list[5]!.rawBytes, as: UTF8.self) == #""x\n\u00e9\ud83d\ude00""#)
        #expect(String(decoding: body[list[5]!.contentRange], as: UTF8.self) == #"x\n\u00e9\ud83d\ude00"#)
    }

    @Test func pointersEscape() throws {
        let root = try document(#"{"a/b":{"m~n":[[],["x"]]}}"#).root
        #expect(root["a/b"]?["m~n"]?[1]?[0]?.pointer == "/a~1b/m~0n/1/0")
    }

    @Test func escapedKeysAreFound() throws {
        let root = try document(#"{"\u006dessages":1,"x\/y":2}"#).root
        #expect(root["messages"]?.integer == 1)
        #expect(root["x/y"]?.integer == 2)
        let index = JSONIndex(root)
        #expect(index["messages"]?.integer == 1)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.0", nil), ("1e3", nil),
            ("99999999999999999999999999", nil),
        ] as [(String, Int64?)])
    func integersAreExact(_ text: String, _ value: Int64?) throws {
        #expect(try document(text).root.integer == value)
    }

    @Test(
        arguments: [
            ("", .empty, 0), ("  \n", .empty, 3), ("\u{FEFF}{}", .byteOrderMark, 0), ("{", .unexpectedEnd, 1),
            ("[1,]", .unexpectedByte, 3), ("[,1]", .unexpectedByte, 1), ("{\"a\":1,}", .unexpectedByte, 7),
            ("{\"a\" 1}", .unexpectedByte, 5), ("{a:1}", .unexpectedByte, 1), ("[1 2]", .unexpectedByte, 3),
            ("[1}", .unexpectedByte, 2), ("{\"a\":1]", .unexpectedByte, 6), ("1 1", .trailingBytes, 2),
            ("{}x", .trailingBytes, 2), ("NaN", .unexpectedByte, 0), ("Infinity", .unexpectedByte, 0),
            ("-Infinity", .invalidNumber, 1), ("nul", .unexpectedEnd, 3), ("nuLl", .unexpectedByte, 2),
            ("tru e", .unexpectedByte, 3), ("01", .invalidNumber, 1), ("-", .unexpectedEnd, 1),
            ("1.", .unexpectedEnd, 2),
            ("1.x", .invalidNumber, 2), (".5", .unexpectedByte, 0), ("+1", .unexpectedByte, 0),
            ("1e", .unexpectedEnd, 2),
            ("1e+", .unexpectedEnd, 3), ("1e400", .numberOutOfRange, 0), ("[-1e999]", .numberOutOfRange, 1),
            ("0x10", .trailingBytes, 1), ("\"a", .unexpectedEnd, 2), ("\"\\", .unexpectedEnd, 2),
            ("\"\\x\"", .invalidEscape, 1), ("\"\\u12g4\"", .invalidEscape, 5), ("\"\\u12", .unexpectedEnd, 5),
            ("\"\\ud800\"", .loneSurrogate, 1), ("\"\\udc00\"", .loneSurrogate, 1),
            ("\"\\ud800\\u0041\"", .loneSurrogate, 1), ("\"\\ud800\\n\"", .loneSurrogate, 1),
            ("\"a\tb\"", .controlCharacter, 2), ("\"a\nb\"", .controlCharacter, 2),
            ("\"a\u{0}\"", .controlCharacter, 2),
            ("// c\n1", .unexpectedByte, 0), ("/* */1", .unexpectedByte, 0), ("'a'", .unexpectedByte, 0),
            ("{\"a\":1,\"a\":2}", .duplicateKey, 7), ("{\"a\":1,\"\\u0061\":2}", .duplicateKey, 7),
            ("{\"x\":{\"é\":1,\"b\":0,\"\\u00e9\":2}}", .duplicateKey, 19), ("{\"\":1,\"\":2}", .duplicateKey, 6),
            ("\u{A0}1", .unexpectedByte, 0),
        ] as [(String, JSONError.Code, Int)])
    func refuses(_ text: String, _ code: JSONError.Code, _ offset: Int) {
        #expect(failure(Array(text.utf8)) == JSONError(code, at: offset))
    }

    @Test(
        arguments: [
            [0x22, 0x80, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xE0, 0x80, 0xAF, 0x22],
            [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xF8, 0x88, 0x80, 0x80, 0x22],
            [0x22, 0xF0, 0x9F, 0x98, 0x22], [0x22, 0xFF, 0x22],
        ] as [[UInt8]])
    func refusesBadUTF8(_ bytes: [UInt8]) {
        #expect(failure(bytes) == JSONError(.invalidUTF8, at: 1))
        // The same behind a long run of plain text, where the scan is in eight-byte steps.
        let long = [UInt8](repeating: 0x61, count: 37)
        #expect(failure([0x22] + long + bytes[1...]) == JSONError(.invalidUTF8, at: 38))
    }

    @Test func otherEncodingsAreRefused() {
        for encoding in [String.Encoding.utf16, .utf16BigEndian, .utf16LittleEndian, .utf32] {
            let bytes = [UInt8]("{\"a\":1}".data(using: encoding) ?? Data())
            #expect(failure(bytes) != nil)
        }
    }

    @Test func depthIsLimited() {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x5B, count: depth) + [UInt8](repeating: 0x5D, count: depth)
        }
        #expect(failure(nested(128)) == nil)
        #expect(failure(nested(129)) == JSONError(.tooDeep, at: 128))
        #expect(failure([UInt8](repeating: 0x5B, count: 100_000)) == JSONError(.tooDeep, at: 128))
        let siblings = "[" + Array(repeating: "[]", count: 500).joined(separator: ",") + "]"
        #expect(failure(Array(siblings.utf8)) == nil)
    }

    @Test func nodesAreLimited() {
        let body = Array("[0,0,0,0]".utf8)
        #expect(failure(body, limits: JSONLimits(nodesMax: 5)) == nil)
        #expect(failure(body, limits: JSONLimits(nodesMax: 4)) == JSONError(.tooLarge, at: 7))
    }

    /// Pairwise and hashed search of equal keys agree, at every size around the switch and with escapes.
    @Test func duplicateKeysOfBigObjects() {
        for count in [2, 3, 11, 12, 13, 14, 40, 300] {
            let keys = (0..<count).map { "\"key\($0)\":{\"n\":\($0),\"m\":[]}" }
            #expect(failure(Array(("{" + keys.joined(separator: ",") + "}").utf8)) == nil)
            for repeated in [0, count / 2, count - 1] {
                let text = "{" + (keys + ["\"k\\u0065y\(repeated)\":0"]).joined(separator: ",") + "}"
                #expect(failure(Array(text.utf8))?.code == .duplicateKey)
                let plain = "{" + (keys + ["\"key\(repeated)\":0"]).joined(separator: ",") + "}"
                #expect(failure(Array(plain.utf8))?.code == .duplicateKey)
            }
        }
    }

    @Test func hugeObjectsAreNotQuadratic() {
        let text = "{" + (0..<60_000).map { "\"\($0)\":0" }.joined(separator: ",") + "}"
        let clock = ContinuousClock()
        let time = clock.measure { #expect(failure(Array(text.utf8)) == nil) }
        #expect(time < .seconds(5))
    }

    @Test func iterationOfABigObjectIsLinear() throws {
        let text = "{" + (0..<50_000).map { "\"\($0)\":\($0)" }.joined(separator: ",") + "}"
        let root = try document(text).root
        var sum: Int64 = 0
        for (_, value) in root.members { sum += value.integer ?? 0 }
        #expect(sum == 50_000 * 49_999 / 2)
        #expect(JSONIndex(root)["49999"]?.integer == 49_999)
    }
}
