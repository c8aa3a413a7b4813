"""The attacks, one file each. An attack takes a network and a step and returns adversarial images [B, C, H, W] in [0, 1].

threat       how far an attacker may go: the l_inf and l_2 balls, their steps, projections and starts
pgd          PGD, with restarts, several losses and a number of steps per example; FGSM and FGSM-RS are PGD of one step
mifgsm       MI-FGSM and DI2-FGSM, made to transfer between networks
autoattack   AutoAttack and its parts (APGD, FAB, Square), complete or shortened
perceptual   Fast-LPA, LPA and PPGD within a ball of the LPIPS distance
lpips        the LPIPS distance, and the projection into its ball
stadv        moves pixels; recoloradv moves colours (in the colour space of cieluv); smooth_fields has what both share
jpeg         moves the quantised coefficients of a JPEG file
"""
