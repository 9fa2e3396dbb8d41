"""English for Chinese words: what a filter's Chinese word also means, and what a Chinese sentence is about.

The words stand in glossary.tsv beside this file, read at the first question. Traditional characters are
folded into simplified ones. Pure Python, no Django.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

from subscriptions.filters import normal

_FILE = Path(__file__).with_name("glossary.tsv")
_TRADITIONAL = """
    萬與專業東兩個臨爲為舉麼義樂習書爭於雲亞產僅從倉們價衆眾優會偉傳倫僞偽體餘側儲兒關興養內寫軍農衝決況
    凍準幾擊劃則創別製劍辦務動勵勞勢區醫華協單賣佔衛衞歷壓參雙發髮變敘敍疊颱臺葉號後聽啓啟員諮響喚迴團圍
    國圖場塊壇聲處備複復夠頭獎奧學孿實審寬對導壽將爾侷層幣佈師帶幀幫幹併並廣牀庫應開異張強歸當錄徵徑禦憶
    誌態恆惡戲戰戶撲執擴掃摺摳護報擬擁擇擋損換據攝斂數斷無時曠顯術機殺雜權條來構標欄樹樣覈檔橋檢殘氣彙漢
    汙湯沒洩註潑淺測濟瀏湧溫遊灣潰濺滿濾濱潛瀕靈災點熱愛狀獨獄獻環現電畫疇療癇癡癲監盤礦碼礎確礙離種積稱
    穩竊窺競築篩籌籤簡類係糾紅約級納縱紋線練組細織終繹經結繪給絡絕統繼緒續維綜綠緩編緣纏縮網羣職聯膚腫脈
    臟腦臉騰輿藝節蘇蘋範繭薦藥營虛蟲蟻螞補裝見觀規視覽覺觸計認讓訓議訊記許論諷設證評識詐診詞譯試詩話詢該
    語誤說説諾讀課調諂談諤謝謠譜貝負財責敗貨質貸資賽趨躍蹤車軌轉輪軟輕載較輔輛輻輯輸辯邊達遷過運還這進遠
    連遲跡適選遜遞邏遺遙郵鄰鬱採釋裏裡針釣鈣鈦鑰錢銀鏈銷鋰錯鍵鏡長門閉問間聞閱閲隊陽陰陣階險隨隱難霧靜韓
    韻頁頓預領頸頻題風飛饋餾馬驅駛駝駕驗騙驟魚魯鳥鵬麥齊
"""
_SIMPLIFIED = """
    万与专业东两个临为为举么义乐习书争于云亚产仅从仓们价众众优会伟传伦伪伪体余侧储儿关兴养内写军农冲决况
    冻准几击划则创别制剑办务动励劳势区医华协单卖占卫卫历压参双发发变叙叙叠台台叶号后听启启员咨响唤回团围
    国图场块坛声处备复复够头奖奥学孪实审宽对导寿将尔局层币布师带帧帮干并并广床库应开异张强归当录征径御忆
    志态恒恶戏战户扑执扩扫折抠护报拟拥择挡损换据摄敛数断无时旷显术机杀杂权条来构标栏树样核档桥检残气汇汉
    污汤没泄注泼浅测济浏涌温游湾溃溅满滤滨潜濒灵灾点热爱状独狱献环现电画畴疗痫痴癫监盘矿码础确碍离种积称
    稳窃窥竞筑筛筹签简类系纠红约级纳纵纹线练组细织终绎经结绘给络绝统继绪续维综绿缓编缘缠缩网群职联肤肿脉
    脏脑脸腾舆艺节苏苹范茧荐药营虚虫蚁蚂补装见观规视览觉触计认让训议讯记许论讽设证评识诈诊词译试诗话询该
    语误说说诺读课调谄谈谔谢谣谱贝负财责败货质贷资赛趋跃踪车轨转轮软轻载较辅辆辐辑输辩边达迁过运还这进远
    连迟迹适选逊递逻遗遥邮邻郁采释里里针钓钙钛钥钱银链销锂错键镜长门闭问间闻阅阅队阳阴阵阶险随隐难雾静韩
    韵页顿预领颈频题风飞馈馏马驱驶驼驾验骗骤鱼鲁鸟鹏麦齐
"""
_TO_KEY: dict[int, str | int] = {
    **str.maketrans("".join(_TRADITIONAL.split()), "".join(_SIMPLIFIED.split())),
    **{ord(letter): letter.lower() for letter in ascii_uppercase},
}
# Words in Latin script, together while only one sign stands between them: GPT-4, vision language model.
_LATIN_WORD = r"[^\W\u2e80-\U0003ffff]"
_LATIN = re.compile(rf"{_LATIN_WORD}+(?:[ ./'+-]{_LATIN_WORD}+)*[+#]*")


class Entry(NamedTuple):
    """`english`: the most usual term first. `is_general`: too common a word to filter by."""

    english: tuple[str, ...]
    is_general: bool


class _Glossary(NamedTuple):
    lines: Mapping[str, str]  # term → what stands behind it in the file
    longest: int  # term, in characters


@cache
def _glossary() -> _Glossary:
    text = _FILE.read_text(encoding="utf-8")
    lines = dict(line.split("\t", 1) for line in text.splitlines() if line and line[0] != "#")
    return _Glossary(lines, max(map(len, lines)))


def entries() -> Iterator[tuple[str, Entry]]:
    """The whole glossary, in the order of the file."""
    for term, line in _glossary().lines.items():
        yield term, _read(line)


def _read(line: str) -> Entry:
    english, _, sign = line.partition("\t")
    return Entry(tuple(english.split(";")) if english else (), is_general=bool(sign))


def _key(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_TO_KEY)


def entry(word: str) -> Entry | None:
    """What the glossary says about exactly this word, blanks apart; None if it is not in it."""
    if word.isascii():
        return None
    line = _glossary().lines.get("".join(_key(word).split()))
    return None if line is None else _read(line)


@lru_cache(maxsize=4096)
def meaning(word: str) -> tuple[str, ...]:
    """The English terms that a filter's word or phrase also means: 后训练 → ("post-training",).

    Only where the whole of it is in the glossary, and not as one of the words too common to filter by.
    """
    found = entry(word)
    return () if found is None or found.is_general else found.english


def translate(text: str) -> list[str]:
    """The English phrases of a Chinese sentence, in its order, each once; its Latin words as they stand.

    用于机器人规划的世界模型 → ["robot planning", "world model"]. Words of several meanings give all of
    them, the most usual first. The sentence is cut so that the fewest characters are left over, then into the
    fewest terms, then with the longer term first. What the glossary does not know is passed over.
    """
    phrases: dict[str, str] = {}
    for meanings in word_by_word(text):
        for phrase in meanings:
            phrases.setdefault(phrase.casefold(), phrase)
    return list(phrases.values())


def word_by_word(text: str) -> list[tuple[str, ...]]:
    """As `translate`, with the meanings of each term of the sentence together."""
    plain = unicodedata.normalize("NFKC", text)
    folded = plain.translate(_TO_KEY)
    latin = {match.start(): match.end() for match in _LATIN.finditer(folded)}
    words = []
    for start, end in _cut(folded, latin):
        line = _glossary().lines.get(folded[start:end])
        if line is not None:
            words.append(_read(line).english)
        elif latin.get(start) == end:
            words.append((plain[start:end],))
    return [meanings for meanings in words if meanings]


def _cut(text: str, latin: Mapping[int, int]) -> list[tuple[int, int]]:
    """The pieces of `text` as (start, end), without gaps; a piece that is no term is one character."""
    terms, longest = _glossary()
    inside = {at for start, end in latin.items() for at in range(start + 1, end)}
    # From each place on: characters left over and pieces of the best cut, and where its first piece ends.
    best = [(0, 0)] * (len(text) + 1)
    ends = [0] * len(text)
    for start in range(len(text) - 1, -1, -1):
        over, pieces = best[start + 1]
        best[start] = over + normal.is_cjk(text[start]), pieces + 1
        ends[start] = start + 1
        if start in inside:
            continue
        candidates = [
            end
            for end in range(min(start + longest, len(text)), start, -1)
            if end not in inside and text[start:end] in terms
        ]
        if start in latin:
            candidates.append(latin[start])
        for end in sorted(candidates, reverse=True):
            over, pieces = best[end]
            if (over, pieces + 1) < best[start] or ((over, pieces + 1) == best[start] and end > ends[start]):
                best[start] = over, pieces + 1
                ends[start] = end
    result = []
    at = 0
    while at < len(text):
        result.append((at, ends[at]))
        at = ends[at]
    return result
